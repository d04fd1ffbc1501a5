/* What the scripts that open notebooks in a running JupyterLab share. */

/* End every kernel, so that the next notebook starts with a fresh one. */
export async function endSessions(base, token) {
  const api = (path, options = {}) => fetch(`${base}/api/${path}?token=${token}`, options);
  for (const session of await (await api("sessions")).json())
    await api(`sessions/${session.id}`, { method: "DELETE" });
}

/* Open a notebook and wait for its kernel. */
export async function openNotebook(page, base, token, notebook) {
  await page.goto(`${base}/lab/tree/${notebook}?token=${token}&reset`);
  await page.waitForSelector(".jp-Notebook .jp-CodeCell");
  await page.waitForFunction(
    () =>
      window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === "idle",
  );
}

/* Run all cells; the ends of the errors that they show. */
export async function runAll(page) {
  await page.evaluate(() => window.jupyterapp.commands.execute("notebook:run-all-cells"));
  const failed = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]';
  return (await page.locator(failed).allTextContents()).map((text) => text.slice(-500));
}
