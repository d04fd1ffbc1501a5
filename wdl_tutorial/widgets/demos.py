"""The demos of the book, one class each; chapter numbers are the book's."""

from __future__ import annotations

import numpy as np

from .base import Demo, choice, number, numbers, simplex, text, toggle
from .shapes import line_shapes, plane_shapes


class TwoPeaks(Demo):
    """Chapter 1: average two peaks by their heights, or by their positions.

    Parameters
    ----------
    t : weight of the right peak, in [0, 1].
    left, right : positions of the peaks, in bins, 20 to 180.
    width : standard deviation of the right peak in bins, 3 to 15; the left one's is 5.
    crumb : share of the mass to the left of the crumb that is coloured red.
    """

    _file = "two_peaks.js"
    t = number(0.5, 0, 1)
    left = number(50, 20, 180)
    right = number(130, 20, 180)
    width = number(10, 3, 15)
    crumb = number(0.7, 0.05, 0.95)
    caption = text("Dashed and dotted: the two peaks. Blue: their average. Red: one and the same crumb of mass.")
    alt = text("The average of heights has two peaks, where they were; the average of positions has one, in between.")


class BarycenterTriangle(Demo):
    """Chapter 4: the average of three shapes, at every weight and every blur.

    Parameters
    ----------
    weights : of the three shapes, on the simplex.
    shapes : "line" for ``atoms`` or "plane" for ``images``.
    width, pixels : blur width in bins, for shapes on a line, and in pixels, for shapes in the plane.
    power : exponent p of the distance, 1 or 2.
    debiased : take the blur out.
    atoms, positions : three histograms on an even line, and its positions in bins.
    images : three square images, flattened in C order; 32 x 32 keeps the slider quick.
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
