"""Line plots with nothing but Pillow."""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZE = (960, 480)
LEFT = 80
TOP = 40
RIGHT = 20
BOTTOM = 60
COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"]
Points = list[tuple[float, float]]


def line_plot(path: Path, lines: dict[str, Points], x_name: str, y_name: str) -> None:
    """Write a PNG with these lines, from 0 upwards."""
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(15)
    points = [point for line in lines.values() for point in line]
    x0 = min(x for x, _ in points)
    x1 = max(x for x, _ in points)
    top = 1.05 * max(y for _, y in points)
    width = SIZE[0] - LEFT - RIGHT
    height = SIZE[1] - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + width * (x - x0) / ((x1 - x0) or 1), TOP + height * (1 - y / top)

    for y in ticks(0, top):
        pen.line([place(x0, y), place(x1, y)], fill="#dddddd")
        pen.text((LEFT - 8, place(x0, y)[1]), f"{y:,g}", "black", font, anchor="rm")
    for x in ticks(x0, x1):
        pen.text((place(x, 0)[0], TOP + height + 8), f"{x:,g}", "black", font, anchor="ma")
    pen.text((LEFT + width / 2, SIZE[1] - 12), x_name, "black", font, anchor="ms")
    pen.text((8, 8), y_name, "black", font)
    for i, (name, line) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        dense = len(line) > width / 4  # dots, where a line would be a smear
        places = [place(x, y) for x, y in line]
        if dense:
            pen.point(places, fill=colour)
        else:
            pen.line(places, fill=colour, width=3)
        pen.text(
            (SIZE[0] - RIGHT - 200 * (len(lines) - i) + 190, 8), name, colour, font, anchor="ra"
        )
    picture.save(path)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high, four to ten of them."""
    power = 10.0 ** math.floor(math.log10((high - low) or 1))
    step = next(step for step in (power / 5, power / 2, power, 2 * power) if high - low < 10 * step)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
