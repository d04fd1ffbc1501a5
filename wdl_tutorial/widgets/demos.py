"""The demos of the book, one class each; chapter numbers are the book's."""

from __future__ import annotations

import numpy as np

from .base import Demo, choice, number, numbers, simplex, text, toggle, words
from .shapes import clouded_scene, line_shapes, minerals, plane_shapes, shaded_minerals, twelve_histograms


class TwoPeaks(Demo):
    """Chapter 1: average two peaks by their heights, or by their positions.

    Parameters
    ----------
    t : float, in [0, 1]
        Weight of the right peak.
    left, right : float, 20 to 180 bins
        Positions of the peaks.
    width : float, 3 to 15 bins
        Standard deviation of the right peak; the left one's is 5.
    crumb : float
        Share of the mass to the left of the crumb that is coloured orange.
    """

    _file = "two_peaks.js"
    t = number(0.5, 0, 1)
    left = number(50, 20, 180)
    right = number(130, 20, 180)
    width = number(10, 3, 15)
    crumb = number(0.7, 0.05, 0.95)
    caption = text("Dashed and dotted: the two peaks. Blue: their average. Orange: one and the same crumb of mass.")
    alt = text("The average of heights has two peaks, where they were; the average of positions has one, in between.")


class BarycenterTriangle(Demo):
    """Chapter 4: the average of three shapes, at every weight and every blur.

    Parameters
    ----------
    weights : three floats, on the simplex
    shapes : {"line", "plane"}
        Show ``atoms`` or ``images``.
    width : float, in units of the axis
    pixels : float, in pixels
        Blur widths, for shapes on a line and in the plane.
    power : {1, 2}
        Exponent p of the distance.
    debiased : bool
        Take the blur out.
    atoms : array, shape (3, n_bins)
        Histograms on an even line.
    images : array, shape (3, n_pixels)
        Square images, flattened in C order; 32 x 32 keeps the slider quick.
    positions : array, shape (n_bins,)
    """

    _file = "barycenter_triangle.js"
    weights = simplex(0.34, 0.33, 0.33)
    shapes = choice("line", "line", "plane")
    width = number(5, 3, 200)
    pixels = number(1, 0.7, 32)
    power = choice(2, 1, 2)
    debiased = toggle()
    atoms = numbers(line_shapes)
    images = numbers(plane_shapes)
    positions = numbers(np.linspace(0, 200, 101))
    caption = text("The dot is the point of the triangle; the corners are the three shapes.")
    alt = text(
        "The average of positions of three shapes is one shape in between; the average of heights shows all three."
    )


class ScalingSteps(Demo):
    """Chapter 3: Sinkhorn's two moves, one press at a time, and how many presses each eps needs.

    Parameters
    ----------
    presses : int, 0 to 120
        Half-iterations done: columns, rows, columns, ...
    eps : float, in squared bins
        A power of two from 1 to 4096.
    """

    _file = "scaling_steps.js"
    presses = number(0, 0, 120)
    eps = number(32, 1, 4096)
    caption = text(
        "Bars: the sums of the plan as it is, green where right (to 0.0002). Black steps: what they should be."
    )
    alt = text("Fixing the columns of a plan spoils its rows and the other way round, less each time.")


class Underflow(Demo):
    """Chapter 5: the entries of the Gibbs kernel slide towards the smallest number, and fall off.

    Parameters
    ----------
    eps : float, 0.056 to 100, in the units of the cost
    precision : {"float64", "float32"}
    logarithms : bool
        Keep -cost/eps instead of its exponential.
    """

    _file = "underflow.js"
    eps = number(1.0, 0.05, 100)
    precision = choice("float64", "float64", "float32")
    logarithms = toggle()
    caption = text(
        "Dot: an entry that the computer holds. Cross: one that became 0. Tan strip: subnormal, few digits left."
    )
    alt = text(
        "As eps falls, the entries of exp(-cost/eps) become smaller than any number a computer holds, and turn to 0."
    )


class PlanByHand(Demo):
    """Chapter 2: move eight blocks from six piles to six places, and pay for the distance.

    Parameters
    ----------
    plan : 36 ints
        Row by row: how many blocks go from bin i to bin j.
    power : {1, 2}
        Exponent p of the distance that is paid.
    adding : bool
        Whether a click adds a block or takes one away.
    """

    _file = "plan_by_hand.js"
    plan = numbers(np.zeros(36))
    power = choice(1, 1, 2)
    adding = toggle(True)
    caption = text("Fill the table: click a cell, or move with the arrow keys and press Enter or Backspace.")
    alt = text(
        "Eight blocks stand above, eight places are free below and further right; a table says how many go where."
    )


class Unmix60(Demo):
    """Chapter 0: find the fractions of three minerals in a spectrum, by eye.

    Parameters
    ----------
    weights : three floats, on the simplex
        Your fractions.
    shown : bool
        Whether the answer is shown.
    truth : three floats, on the simplex
        The hidden fractions.
    endmembers : array, shape (3, n_bands)
    names : list of str
    wavelengths : array, shape (n_bands,), nm
    """

    _file = "unmix60.js"
    weights = simplex(0.34, 0.33, 0.33)
    shown = toggle()
    truth = simplex(0.2, 0.55, 0.25)
    endmembers = numbers(lambda: minerals()[0])
    names = words(lambda: minerals()[1])
    wavelengths = numbers(lambda: minerals()[2])
    caption = text("Black dots: the hidden spectrum. Blue: your mixture. Below: what your mixture leaves over.")
    alt = text("A hidden spectrum, three mineral spectra, and a mixture of them that does not lie on it yet.")


class OrphanPeak(Demo):
    """Chapter 8: a source with two peaks, a target with one; a price on mass that does not match.

    Parameters
    ----------
    marginal_weight : float, 316 to 1e6, in squared bins
        rho.
    orphan : float, 100 to 180 bins
        Position of the peak that has no partner.
    """

    _file = "orphan_peak.js"
    marginal_weight = number(3700, 300, 1e6)
    orphan = number(150, 100, 180)
    caption = text("Dashed: what is there and what is wanted. Blue: what is moved. Orange routes are the orphan's.")
    alt = text("Of two source peaks one has a partner; the other travels only if leaving it behind costs more.")


class GradientFilm(Demo):
    """Chapter 7: a push on one bin goes forward through five layers; the slope of the loss, backward.

    Parameters
    ----------
    bin : int, 0 to 39
        Of atom A.
    nudge : float, 1e-6 to 0.03
        Mass that is pushed into it.
    """

    _file = "gradient_film.js"
    bin = number(14, 0, 39)
    nudge = number(1e-4, 1e-6, 0.03)
    caption = text(
        "Arrows: up where mass in atom A lowers the loss. Orange: what the push changes, drawn to fill the picture."
    )
    alt = text("The slope of the loss in every bin of an atom, and a push on one bin travelling through five layers.")


class DrawAtoms(Demo):
    """Chapter 6: explain twelve histograms by two atoms of your own drawing, then let descent go on.

    Parameters
    ----------
    left, right, spread : float, in bins
        Positions and width of the two bumps that you start with.
    drawn : list of float
        Both atoms, one after the other, where they were drawn; empty for the bumps.
    example : int, from 1
        Which histogram is shown below.
    data : array, shape (n_samples, n_bins)
        The histograms.
    blur : float, in bins
        Blur width of the barycenters.
    rivals : pair of float
        Mean L1 reconstruction errors of PCA and of NMF with two components.
    """

    _file = "draw_atoms.js"
    left = number(20, 0, 1000)
    right = number(40, 0, 1000)
    spread = number(3, 1.5, 12)
    drawn = numbers()
    example = number(3, 1, 1000)
    data = numbers(lambda: twelve_histograms()[0])
    blur = number(2, 0.5, 20)
    rivals = numbers(lambda: twelve_histograms()[1])
    caption = text("Draw on the upper picture, or move the handles; then let it learn from there.")
    alt = text("Twelve histograms are one bump that moves; two atoms at the right ends explain them all.")


class ShadeTriangle(Demo):
    """Chapter 11: a pixel in the shade, and a scene, unmixed with and without fractions that sum to one.

    Parameters
    ----------
    weights : three floats, on the simplex
        The true fractions of the pixel.
    shade : float, 0.4 to 1.5
        Light on the pixel; 1 is the light that the endmembers were measured in.
    sky : float, 0 to 0.1
        Light of a blue sky beside it, at 550 nm, falling with the third power of the wavelength; it has a handle where
        the bands begin below 1000 nm.
    mineral : {0, 1, 2}
        Which of the three the maps show.
    endmembers : array, shape (3, n_bands)
    scene : array, shape (rows, cols, 3)
        The true fractions of a scene.
    cloud : array, shape (rows, cols)
        How far the light of its pixels changes: 0 not at all, 1 to ``shade``.
    names : list of str
    wavelengths : array, shape (n_bands,), nm
    """

    _file = "shade_triangle.js"
    weights = simplex(0.5, 0.3, 0.2)
    shade = number(1, 0.4, 1.5)
    sky = number(0, 0, 0.1)
    mineral = choice(1, 0, 1, 2)
    endmembers = numbers(lambda: shaded_minerals()[0])
    scene = numbers(lambda: clouded_scene()[0])
    cloud = numbers(lambda: clouded_scene()[1])
    names = words(lambda: shaded_minerals()[1])
    wavelengths = numbers(lambda: shaded_minerals()[2])
    caption = text(
        "Black: the truth. Square: FCLS. Triangle: NNLS divided by its sum. A stronger colour in a map: more of it."
    )
    alt = text("With less light FCLS calls the pixel another mineral; NNLS divided by its sum does not move.")


class DraggableTriangle(Demo):
    """Chapter 12: put a triangle around a cloud of pixels; many fit.

    Parameters
    ----------
    corners : six floats, in [0, 1]
        Across and up, of the corners A, B and C.
    corner : {0, 1, 2}
        Which corner the two handles move.
    purest : float, 0.4 to 1
        Largest fraction of one endmember in any pixel.
    vca : bool
        Whether the corners that vertex component analysis picks are shown.
    """

    _file = "draggable_triangle.js"
    corners = numbers([0.05, 0.05, 0.97, 0.15, 0.35, 0.97])
    corner = choice(0, 0, 1, 2)
    purest = number(1, 0.4, 1)
    vca = toggle()
    caption = text("Drag a corner. A cross is a pixel that your triangle cannot explain.")
    alt = text("A cloud of pixels fits into many triangles; without pure pixels nothing shows which one is true.")


class DipOrPeak(Demo):
    """Chapter 13: average two absorptions as reflectance or as band depth, in heights or in positions.

    Parameters
    ----------
    t : float, in [0, 1]
        Share of the right spectrum.
    depth : float, 0.02 to 0.6
        Of both absorptions.
    represented : {"reflectance", "depth"}
    truth : {"areal", "shift"}
        What the measured pixel is: two materials side by side, or a band that moves.
    """

    _file = "dip_or_peak.js"
    t = number(0.5, 0, 1)
    depth = number(0.3, 0.02, 0.6)
    represented = choice("reflectance", "reflectance", "depth")
    truth = choice("areal", "areal", "shift")
    caption = text("Dots: the measured pixel. The bars say how far each average is from it.")
    alt = text("As reflectance the barycenter hardly differs from the linear average; as band depth the peak travels.")
