/* Feature maps as pictures: colors, and one strip for each layer. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  const SIDE = 72;
  const GAP = 8;
  const MOST_MAPS = 256;

  /** Return a layer's values as {channels, height, width, at(channel, y, x)}. */
  Jaxcnn.mapsOf = function (layer, { data, shape }) {
    if (shape.length === 2) return { channels: shape[1], height: 1, width: 1, flat: true, data, at: (c) => c };
    const last = layer.layout === 'NHWC';
    const sides = shape.length === 3 ? (last ? [shape[0], 1, shape[1], shape[2]] : [shape[0], shape[1], 1, shape[2]]) : shape;
    const [height, width, channels] = last ? sides.slice(1) : [sides[2], sides[3], sides[1]];
    const at = last ? (c, y, x) => (y * width + x) * channels + c : (c, y, x) => (c * height + y) * width + x;
    return { channels, height, width, flat: false, data, at };
  };

  function color(name, missing) {
    const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim() || missing;
    const context = document.createElement('canvas').getContext('2d');
    context.fillStyle = value;
    context.fillRect(0, 0, 1, 1);
    return Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 3));
  }

  /** Return 511 colors of the theme as 32-bit pixels: −1…0 in the cool hue, 0…1 in the accent. */
  Jaxcnn.mapColors = function () {
    const [zero, ink] = [color('--sunken', '#efede6'), color('--ink', '#1c1b19')];
    const side = (hue) => [zero, hue, hue.map((level, i) => 0.45 * level + 0.55 * ink[i])];
    const [positive, negative] = [side(color('--accent', '#b8420f')), side(color('--cool', '#35526b'))];
    const colors = new Uint32Array(511);
    for (let i = 0; i < 511; i++) {
      const stops = i < 255 ? negative : positive;
      const share = Math.abs(i - 255) / 255;
      const [a, b, mix] = share < 0.6 ? [stops[0], stops[1], share / 0.6] : [stops[1], stops[2], (share - 0.6) / 0.4];
      const [red, green, blue] = a.map((level, j) => Math.round(level + mix * (b[j] - level)));
      colors[i] = (255 << 24) | (blue << 16) | (green << 8) | red;
    }
    return colors;
  };

  /** Return the largest absolute value, which gets the strongest color. */
  Jaxcnn.largest = function (data) {
    let most = 0;
    for (let i = 0; i < data.length; i++) {
      const value = data[i] < 0 ? -data[i] : data[i];
      if (value > most) most = value;
    }
    return most || 1;
  };

  /** Make the strip of a layer within an element that scrolls; `onChoose(channel, y, x)`. */
  Jaxcnn.mapStrip = function (holder, layer, value, onChoose) {
    const maps = Jaxcnn.mapsOf(layer, value);
    const count = Math.min(maps.channels, MOST_MAPS);
    const wide = maps.flat ? 14 : Math.max(8, Math.round(SIDE * Math.min(1, maps.width / maps.height)));
    const high = maps.flat ? 44 : Math.max(8, Math.round(SIDE * Math.min(1, maps.height / maps.width)));
    const step = wide + (maps.flat ? 2 : GAP);
    const canvas = document.createElement('canvas');
    canvas.width = count * step;
    canvas.height = high + 6;
    holder.append(canvas);
    const context = canvas.getContext('2d');
    // The maps in their own resolution, one below the other.
    const native = document.createElement('canvas');
    native.width = maps.width;
    native.height = maps.height * count;
    const nativeContext = native.getContext('2d', { willReadFrequently: true });
    const image = nativeContext.createImageData(native.width, native.height);
    const pixels = new Uint32Array(image.data.buffer);
    let chosen = -1;

    function paint(colors, accent) {
      const first = Math.max(0, Math.floor(holder.scrollLeft / step));
      const end = Math.min(count, Math.ceil((holder.scrollLeft + holder.clientWidth) / step) + 1);
      const scale = 255 / Jaxcnn.largest(maps.data);
      const area = maps.height * maps.width;
      const rows = layer.layout !== 'NHWC';
      for (let c = first; c < end; c++) {
        for (let i = 0; i < area; i++) {
          const from = rows || maps.flat ? c * area + i : i * maps.channels + c;
          pixels[c * area + i] = colors[255 + Math.round(maps.data[from] * scale)];
        }
      }
      nativeContext.putImageData(image, 0, 0, 0, first * maps.height, maps.width, (end - first) * maps.height);
      context.imageSmoothingEnabled = false;
      context.clearRect(first * step, 0, (end - first) * step, canvas.height);
      for (let c = first; c < end; c++) {
        context.drawImage(native, 0, c * maps.height, maps.width, maps.height, c * step + 3, 3, wide, high);
      }
      if (chosen >= first && chosen < end) {
        context.lineWidth = 2;
        context.strokeStyle = accent;
        context.strokeRect(chosen * step + 1, 1, wide + 4, high + 4);
      }
    }

    canvas.addEventListener('click', (event) => {
      const box = canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const inside = (position, side, whole) => Math.max(0, Math.min(side - 1, Math.floor(position * side / whole)));
      const channel = Math.min(count - 1, Math.floor(x / step));
      onChoose(channel, inside(y - 3, maps.height, high), inside(x - 3 - channel * step, maps.width, wide));
    });
    holder.addEventListener('keydown', (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) {
        chosen = Math.max(0, Math.min(count - 1, chosen + by));
        holder.scrollLeft = chosen * step - holder.clientWidth / 2;
        holder.dispatchEvent(new Event('scroll'));
      } else if (event.key === 'Enter' || event.key === ' ') {
        onChoose(Math.max(0, chosen), maps.height >> 1, maps.width >> 1);
      } else {
        return;
      }
      event.preventDefault();
    });
    return { paint, count, channels: maps.channels, choose(channel) { chosen = channel; } };
  };
})();
