"""Pictures of kernels and feature maps: which number stands at which pixel, on which scale."""

import numpy as np
import pytest

from jaxcnn.insight import plots

# Pixels of one number in cells of 2×2, 3×3 and 4×4 numbers, whose side has at least 28.
TWO, THREE, FOUR = 14, 10, 7


def sheet_of(figure, number=0):
    """Return the array that is drawn, and the ends of its scale."""
    (image,) = [axes for axes in axes_of(figure) if axes.images][number].images
    return np.ma.filled(image.get_array(), np.nan), image.get_clim(), image.get_cmap().name


def axes_of(figure):
    """Return the axes of a figure and of its parts."""
    parts = [axes for part in figure.subfigs for axes in axes_of(part)]
    return [*figure.axes, *parts] if not figure.subfigs else parts


def texts_of(figure):
    return [figure.get_suptitle(), *(part.get_suptitle() for part in figure.subfigs)]


def save(figure, tmp_path):
    figure.savefig(tmp_path / "drawn.png")
    return figure


def test_kernels_of_one_channel_are_squares_in_rows(tmp_path):
    kernel = np.zeros((3, 3, 1, 13), np.float32)
    kernel[..., 0, 0] = [[1, 2, 3], [4, 5, 6], [7, 8, -9]]
    kernel[..., 0, 12] = 0.5
    figure = save(plots.kernels(kernel), tmp_path)
    sheet, limits, _ = sheet_of(figure)
    assert limits == (-9, 9)
    side, gap = 3 * THREE, 6  # a fifth of a cell
    assert sheet.shape == (2 * side + gap, 12 * side + 11 * gap)
    np.testing.assert_array_equal(
        sheet[THREE // 2 : side : THREE, THREE // 2 : side : THREE], kernel[..., 0, 0]
    )
    assert np.isnan(sheet[:side, side : side + gap]).all()  # the gap is white
    assert np.isnan(sheet[side : side + gap]).all()
    assert (sheet[:side, side + gap : 2 * side + gap] == 0).all()
    assert (sheet[side + gap :, :side] == 0.5).all()
    assert np.isnan(sheet[side + gap :, side:]).all()  # no cells after the last one
    assert texts_of(figure) == ["Kernels: 13, 3×3, 1 input channel"]
    assert len(axes_of(figure)) == 2  # and one color bar


@pytest.mark.parametrize(("count", "columns"), [(5, 5), (12, 12), (20, 10), (32, 8), (33, 11)])
def test_kernels_fill_whole_rows(count, columns):
    sheet, _, _ = sheet_of(plots.kernels(np.ones((2, 2, 1, count), np.float32)))
    side, gap = 2 * TWO, 6
    assert (sheet.shape[1] + gap) / (side + gap) == columns
    assert np.sum(sheet == 1) == count * side * side


def test_kernels_of_three_channels_are_in_color(tmp_path):
    kernel = np.zeros((4, 4, 3, 2), np.float32)
    kernel[0, 0, :, 0] = [2, -2, 0]
    kernel[3, 1, :, 1] = [0, 1, -1]
    figure = save(plots.kernels(kernel, title="First"), tmp_path)
    sheet, _, _ = sheet_of(figure)
    side, gap = 4 * FOUR, 6
    assert sheet.shape == (side, 2 * side + gap, 3)
    np.testing.assert_array_equal(sheet[FOUR - 1, FOUR - 1], [1, 0, 0.5])
    np.testing.assert_array_equal(sheet[0, FOUR], [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(sheet[side - 1, side + gap + FOUR], [0.5, 0.75, 0.25])
    assert (sheet[:, side : side + gap] == 1).all()
    assert texts_of(figure) == ["First: 2, 4×4, 3 input channels; gray is zero"]
    assert len(axes_of(figure)) == 1  # colors have no bar


def test_kernels_of_more_channels_are_rows(tmp_path):
    kernel = np.arange(2 * 2 * 14 * 3, dtype=np.float32).reshape(2, 2, 14, 3)
    figure = save(plots.kernels(kernel, most=2), tmp_path)
    sheet, limits, _ = sheet_of(figure)
    side, gap = 2 * TWO, 6
    step = side + gap
    assert sheet.shape == (2 * step - gap, 12 * step - gap)  # two kernels, their first 12 channels
    for feature in range(2):
        for channel in (0, 5, 11):
            cell = sheet[feature * step :, channel * step :][:side:TWO, :side:TWO]
            np.testing.assert_array_equal(cell, kernel[:, :, channel, feature])
    assert limits == (-kernel[..., :2].max(), kernel[..., :2].max())
    assert texts_of(figure) == ["Kernels: 2 of 3, 2×2, first 12 of 14 input channels"]


def test_kernels_in_one_dimension_have_a_row_per_channel(tmp_path):
    kernel = np.arange(7 * 2 * 3, dtype=np.float32).reshape(7, 2, 3)
    sheet, _, _ = sheet_of(save(plots.kernels(kernel), tmp_path))
    scale = 4  # 28 pixels, 7 positions
    height, width, gap = 2 * scale, 7 * scale, 6
    assert sheet.shape == (height, 3 * width + 2 * gap)
    for feature in range(3):
        cell = sheet[:, feature * (width + gap) :][::scale, :width:scale]
        np.testing.assert_array_equal(cell, kernel[:, :, feature].T)


def test_kernels_in_three_dimensions_have_a_square_per_slice(tmp_path):
    kernel = np.arange(3 * 2 * 2 * 2 * 4, dtype=np.float32).reshape(3, 2, 2, 2, 4)
    sheet, _, _ = sheet_of(save(plots.kernels(kernel), tmp_path))
    side, gap = 2 * TWO, 6
    step = side + gap
    assert sheet.shape == (4 * step - gap, 3 * step - gap)
    for feature in range(4):
        for depth in range(3):
            cell = sheet[feature * step :, depth * step :][:side:TWO, :side:TWO]
            np.testing.assert_array_equal(cell, kernel[depth, :, :, 0, feature])


def test_kernels_of_zeros_have_a_scale():
    assert sheet_of(plots.kernels(np.zeros((3, 3, 1, 1))))[1] == (-1, 1)


def test_values_that_are_not_finite_leave_the_scale_of_the_others(tmp_path):
    kernel = np.ones((2, 2, 1, 2), np.float32)
    kernel[0, 0, 0] = [-3, np.nan]
    kernel[1, 1, 0, 1] = np.inf
    assert sheet_of(save(plots.kernels(kernel), tmp_path))[1] == (-3, 3)
    assert sheet_of(save(plots.kernels(kernel * np.nan), tmp_path))[1] == (-1, 1)
    layer = kernel[..., 0, :]
    assert sheet_of(save(plots.feature_maps({"conv_1": layer}), tmp_path))[1] == (-3, 3)
    assert sheet_of(save(plots.feature_maps({"a": abs(layer)}), tmp_path))[1] == (0, 3)
    assert sheet_of(save(plots.feature_maps({"a": layer * np.nan}), tmp_path))[1] == (0, 1)


@pytest.mark.parametrize("shape", [(3, 3), (3,), (2, 2, 2, 2, 2, 2)])
def test_kernels_have_a_rank(shape):
    with pytest.raises(ValueError, match=r"kernel must be .*one to three.*Received: shape \(\d+,"):
        plots.kernels(np.zeros(shape))


def test_feature_maps_have_a_block_and_a_scale_for_each_layer(tmp_path):
    signed = np.arange(4 * 4 * 13, dtype=np.float32).reshape(4, 4, 13) - 150
    positive = np.full((2, 2, 3), 0.25, np.float32)
    maps = {"conv_1": signed, "block/relu": positive, "dead": np.zeros((2, 2, 1))}
    figure = save(plots.feature_maps(maps), tmp_path)
    assert texts_of(figure) == [
        "Feature maps",
        "conv_1: 13 channels of 4×4",
        "block/relu: 3 channels of 2×2",
        "dead: 1 channel of 2×2",
    ]
    sheet, limits, diverging = sheet_of(figure, 0)
    assert limits == (-150, 150)
    side, gap = 4 * FOUR, 2
    step = side + gap
    assert sheet.shape == (2 * step - gap, 12 * step - gap)
    for channel in (0, 7, 12):
        row, column = divmod(channel, 12)
        cell = sheet[row * step :, column * step :][:side:FOUR, :side:FOUR]
        np.testing.assert_array_equal(cell, signed[..., channel])
    assert np.isnan(sheet[step:, step:]).all()
    sheet, limits, sequential = sheet_of(figure, 1)
    assert limits == (0, 0.25)
    assert diverging != sequential
    assert np.sum(sheet == 0.25) == 3 * (2 * TWO) ** 2
    assert np.isnan(sheet[:, 3 * 2 * TWO + 2 * gap :]).all()
    assert sheet_of(figure, 2)[1] == (0, 1)


def test_scale_is_that_of_the_channels_that_are_shown(tmp_path):
    layer = np.ones((3, 3, 30), np.float32)
    layer[..., 29] = 100
    figure = save(plots.feature_maps({"conv_1": layer}, title="Maps"), tmp_path)
    assert texts_of(figure) == ["Maps", "conv_1: 24 of 30 channels of 3×3"]
    assert sheet_of(figure)[1] == (0, 1)
    assert sheet_of(plots.feature_maps({"conv_1": layer}, most=30))[1] == (0, 100)


def test_feature_maps_in_one_dimension_are_rows(tmp_path):
    layer = np.arange(40 * 2, dtype=np.float32).reshape(40, 2)
    sheet, _, _ = sheet_of(save(plots.feature_maps({"conv_1": layer}), tmp_path))
    assert sheet.shape == (8, 40)  # a fifth as high as wide
    np.testing.assert_array_equal(sheet[:4], np.tile(layer[:, 0], (4, 1)))
    np.testing.assert_array_equal(sheet[4:], np.tile(layer[:, 1], (4, 1)))


def test_feature_maps_in_three_dimensions_show_the_middle_frame(tmp_path):
    layer = np.arange(5 * 2 * 2 * 2, dtype=np.float32).reshape(5, 2, 2, 2)
    figure = save(plots.feature_maps({"conv_1": layer}), tmp_path)
    sheet, _, _ = sheet_of(figure)
    side = 2 * TWO
    np.testing.assert_array_equal(sheet[::TWO, :side:TWO], layer[2, ..., 0])
    np.testing.assert_array_equal(sheet[::TWO, side + 2 : 2 * side + 2 : TWO], layer[2, ..., 1])
    assert texts_of(figure)[1] == "conv_1: 2 channels of 5×2×2"


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({}, "maps must have at least one layer. Received: none"),
        ({"flatten_1": np.zeros(9)}, r"spatial axes. Received: 'flatten_1' of shape \(9,\)"),
        ({"conv_1": np.zeros((1, 2, 3, 4, 5))}, r"'conv_1' of shape \(1, 2, 3, 4, 5\)"),
    ],
)
def test_errors_of_feature_maps(maps, message):
    with pytest.raises(ValueError, match=message):
        plots.feature_maps(maps)


@pytest.mark.parametrize(
    "draw",
    [
        lambda most: plots.kernels(np.zeros((3, 3, 1, 2)), most=most),
        lambda most: plots.feature_maps({"a": np.zeros((3, 3, 1))}, most=most),
    ],
)
def test_most_is_a_count(draw):
    with pytest.raises(ValueError, match=r"most must be at least 1\. Received: most=0"):
        draw(0)
    with pytest.raises(TypeError, match="most must be an integer"):
        draw(2.5)
