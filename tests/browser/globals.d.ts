/** What pages and demos leave for each other on the window. */
interface Window {
  /** Of a built page: its name, and the doors. */
  wdlPage: any;
  /** The code that several demos of a page share, by the names of its files. */
  wdlParts: Record<string, string>;
}

declare var wdlNames: number | undefined;
declare var wdlPredictions: number | undefined;
/** Sphinx's own. */
declare const DOCUMENTATION_OPTIONS: any;
