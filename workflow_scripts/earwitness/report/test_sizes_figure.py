"""What test sets of different sizes can resolve."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earwitness.report.style import BAR, GRID, INK, MUTED, PAPER, WIDTH, in_order, look_of, rows_of, wrapped_name


def draw_test_sizes(sizes: pd.DataFrame) -> Figure:
    """Left, accuracy of every system on test sets of each size; right, what adapters gain over the base on the same.

    sizes: table of earwitness.tables.experiments.TEST_SIZES. Thick: the usual interval; thin: where 95 % of drawn test sets put the estimate.
    """
    systems = in_order(sizes.system_id)
    steps = sorted(sizes.n_items.unique())
    figure = Figure(figsize=(WIDTH, 4.4 + 0.4 * -(-(len(systems) + 3) // 3)), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, system in enumerate(systems):
        look = look_of(system)
        shift = min(0.16, 0.9 / len(systems)) * (number - (len(systems) - 1) / 2)
        for row in rows_of(sizes[sizes.system_id == str(system)]):
            place = steps.index(row.n_items) + shift
            middle = 100 * row.balanced_accuracy
            left.plot(
                [place] * 2,
                [middle - 100 * row.half_width, min(100, middle + 100 * row.half_width)],
                color=look.colour,
                lw=4,
                alpha=0.45,
                solid_capstyle="butt",
            )
            if row.draws > 1:
                left.plot([place] * 2, [100 * row.lowest, 100 * row.highest], color=INK, lw=0.9)
            left.plot([place], [middle], marker=look.marker, ls="", color=look.colour, ms=6, mec=PAPER)
            if system.kind != "base":
                gain, half = 100 * row.gain, 100 * row.gain_half_width
                right.plot([place] * 2, [gain - half, gain + half], color=look.colour, lw=4, alpha=0.45, solid_capstyle="butt")
                right.plot([place], [gain], marker=look.marker, ls="", color=look.colour, ms=6, mec=PAPER)
                right.plot([place], [100 * row.minimum_detectable_gain], "_", color=look.colour, ms=14, mew=1.6)
    right.axhline(0, color=MUTED, lw=0.8)
    for axes in (left, right):
        axes.set_xticks(range(len(steps)), [f"{step:,}" for step in steps])
        axes.set_xlim(-0.6, len(steps) - 0.4)
        axes.set_xlabel("items in the test set (from the same sources)")
        axes.grid(axis="y", color=GRID, lw=0.6)
    left.set_ylabel("balanced accuracy (%)")
    right.set_ylabel("gain over the base (points)")
    handles = [
        Line2D([], [], ls="", marker=look_of(system).marker, color=look_of(system).colour, label=wrapped_name(system, 30)) for system in systems
    ]
    handles += [
        Line2D([], [], color=BAR, lw=4, label="usual interval, clustered by source"),
        Line2D([], [], color=INK, lw=0.9, label="95 % of drawn test sets"),
        Line2D([], [], ls="", marker="_", color=INK, ms=14, mew=1.6, label="smallest gain likely to be found"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.4)
    return figure
