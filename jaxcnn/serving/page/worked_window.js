/* One window worked out as the tables of the course: values × kernel = products, and their sum. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  const CHANNELS = { 1: ['gray'], 3: ['red', 'green', 'blue'] };

  /** Return the numbers behind one output of the convolution, per channel. */
  Jaxcnn.workedWindow = function (state, place) {
    const { size, pad, stride, bias, relu } = state;
    const [row, column] = place;
    const [top, left] = [row * stride - pad, column * stride - pad];
    const weights = Array.from(Jaxcnn.applied(state.weights, state.flip));
    const channels = state.planes.map((plane) => {
      const values = Jaxcnn.patch(plane, top, left, size);
      const products = values.map((value, index) => Math.fround(value * weights[index]));
      const sum = products.reduce((total, each) => total + each, 0);
      const value = relu ? Math.max(sum + bias, 0) : sum + bias;
      return { values, products, sum, value };
    });
    return { row, column, top, left, size, weights, channels };
  };

  /** Show a worked window, and the pool that takes its output, in an element. */
  Jaxcnn.showWorked = function (root, state, worked) {
    const { after, element, matrix, weightText, word } = Jaxcnn;
    const { size, channels } = worked;
    const names = CHANNELS[channels.length];
    const blocks = channels.map((channel, index) => {
      const title = channels.length > 1 ? [element('h4', { text: word(names[index]), class: names[index] })] : [];
      const line = element('div', { class: 'worked-line' },
        matrix('values', channel.values, size, { colorsOf: (value) => shade(value / state.white, names[index]) }),
        after('×', matrix('weights', worked.weights, size, { write: weightText })),
        after('=', matrix('products', channel.products, size)), after('→', total(state, channel)));
      return element('div', { class: 'worked-channel' }, ...title, line);
    });
    root.replaceChildren(element('p', { class: 'place', text: placeText(state, worked) }),
      ...blocks, ...poolOf(state, worked));
  };

  /** Return the position of the pool's window that begins nearest before an output. */
  Jaxcnn.pooledPlace = function (state, [row, column]) {
    const [first] = state.pooled;
    return [row, column].map((place, axis) => Math.min(
      Math.floor(place / state.poolStride), (axis ? first.columns : first.rows) - 1));
  };

  function placeText(state, { top, left, size }) {
    const { numberText, word } = Jaxcnn;
    const [{ rows, columns }] = state.planes;
    const [bottom, right] = [top + size - 1, left + size - 1];
    const text = word('place', {
      top: numberText(top), bottom: numberText(bottom), left: numberText(left), right: numberText(right),
    });
    const isInside = top >= 0 && left >= 0 && bottom < rows && right < columns;
    return isInside ? text : `${text} ${word('outside')}`;
  }

  /** Return background and text color of a value of a picture, as a share of white. */
  function shade(share, channel) {
    const level = Math.round(255 * Math.min(Math.max(share, 0), 1));
    const own = { red: [level, 0, 0], green: [0, level, 0], blue: [0, 0, level] }[channel];
    const [red, green, blue] = own || [level, level, level];
    const isLight = 0.3 * red + 0.59 * green + 0.11 * blue > 110;
    return [`rgb(${red} ${green} ${blue})`, isLight ? '#111' : '#fff'];
  }

  function total(state, channel) {
    const { numberText } = Jaxcnn;
    const lines = [];
    const withBias = channel.sum + state.bias;
    if (state.bias) {
      const sign = state.bias < 0 ? '−' : '+';
      lines.push(`${numberText(channel.sum)} ${sign} ${numberText(Math.abs(state.bias))} = ${numberText(withBias)}`);
    }
    if (state.relu) lines.push(`ReLU(${numberText(withBias)}) = ${numberText(channel.value)}`);
    return Jaxcnn.total(Jaxcnn.word('sum'), channel.sum, ...lines);
  }

  function poolOf(state, worked) {
    if (state.pool === 'none' || !state.pooled[0].rows) return [];
    const { after, element, matrix } = Jaxcnn;
    const [row, column] = Jaxcnn.pooledPlace(state, [worked.row, worked.column]);
    const size = state.poolSize;
    const shown = state.convolved.map((plane, index) => {
      const values = Jaxcnn.patch(plane, row * state.poolStride, column * state.poolStride, size);
      const table = matrix('pooled_values', values, size);
      const cells = table.querySelectorAll('td');
      const result = state.pooled[index].data[row * state.pooled[index].columns + column];
      if (state.pool === 'max') cells[values.indexOf(Math.max(...values))].classList.add('chosen');
      const name = Jaxcnn.word(state.pool === 'max' ? 'pool_max' : 'pool_avg');
      return element('div', { class: 'worked-line' }, table, after('→', Jaxcnn.total(name, result)));
    });
    return [element('div', { class: 'worked-pool' }, ...shown)];
  }
})();
