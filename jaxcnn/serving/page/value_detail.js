/* One value of a feature map, worked out: the window, the kernel, the products and their sum. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  const SHOWN = 6;

  /* The node of a layer, and the value that it reads. */
  function nodeOf(network, layer) {
    return network.nodes.find((node) => layer.kernel && node.inputs.includes(layer.kernel))
      || network.nodes.find((node) => node.outputs.includes(layer.value));
  }

  function windowAt(x, channel, y, column, node, kernel, outside = 0) {
    const { strides = [], dilations = [], pads = [] } = node.attributes;
    const line = x.shape.length === 3;
    const [h, w] = line ? [1, x.shape[2]] : x.shape.slice(2);
    const [kh, kw] = line ? [1, kernel[0]] : kernel;
    const of = (values, axis) => (line ? (axis ? values[0] : undefined) : values[axis]);
    const [top, left] = line ? [0, pads[0] || 0] : [pads[0] || 0, pads[1] || 0];
    return Array.from({ length: kh }, (_, ky) => Array.from({ length: kw }, (_unused, kx) => {
      const row = y * (of(strides, 0) || 1) + ky * (of(dilations, 0) || 1) - top;
      const at = column * (of(strides, 1) || 1) + kx * (of(dilations, 1) || 1) - left;
      return row < 0 || row >= h || at < 0 || at >= w ? outside : x.data[(channel * h + row) * w + at];
    }));
  }

  /** Return how a value arises: {kind, value, terms: [{channel, window, kernel, sum}], sum, bias}. */
  Jaxcnn.workOut = function (network, layer, channel, y, x) {
    const output = network.value(layer.value);
    const maps = Jaxcnn.mapsOf(layer, output);
    const value = output.data[maps.at(channel, y, x)];
    const node = nodeOf(network, layer);
    const input = node && network.value(node.inputs[0]);
    const bias = node && node.inputs[2] ? network.value(node.inputs[2]) : null;
    if (node && node.op === 'Conv') {
      const kernel = network.value(node.inputs[1]);
      const [m, cg, ...sides] = kernel.shape;
      const first = Math.floor(channel / (m / (node.attributes.group || 1))) * cg;
      const area = sides.reduce((a, b) => a * b, 1);
      const width = sides[sides.length - 1];
      const terms = Array.from({ length: cg }, (_, c) => {
        const window = windowAt(input, first + c, y, x, node, sides);
        const weights = window.map((row, ky) => row.map((_v, kx) => kernel.data[(channel * cg + c) * area + ky * width + kx]));
        const sum = window.reduce((all, row, ky) => all + row.reduce((s, v, kx) => s + v * weights[ky][kx], 0), 0);
        return { channel: first + c, window, kernel: weights, sum };
      });
      return { kind: 'conv', value, terms, sum: terms.reduce((s, term) => s + term.sum, 0), bias: bias ? bias.data[channel] : 0 };
    }
    if (node && (node.op === 'Gemm' || node.op === 'MatMul') && input.shape.length === 2) {
      const weights = network.value(node.inputs[1]);
      const turned = node.attributes.transB;
      const [k, n] = turned ? [weights.shape[1], weights.shape[0]] : weights.shape;
      const terms = Array.from({ length: k }, (_, c) => {
        const weight = weights.data[turned ? channel * k + c : c * n + channel];
        return { channel: c, x: input.data[c], weight, sum: input.data[c] * weight };
      });
      return { kind: 'dense', value, terms, sum: terms.reduce((s, term) => s + term.sum, 0), bias: bias ? bias.data[channel] : 0 };
    }
    if (node && (node.op === 'MaxPool' || node.op === 'AveragePool')) {
      const window = windowAt(input, channel, y, x, node, node.attributes.kernel_shape,
        node.op === 'MaxPool' ? -Infinity : 0);
      return { kind: node.op === 'MaxPool' ? 'max' : 'average', value, window };
    }
    if (node && node.inputs.length === 1 && input.data.length === output.data.length && node.op !== 'Transpose' && node.op !== 'Softmax') {
      return { kind: 'from', value, before: input.data[maps.at(channel, y, x)] };
    }
    return { kind: 'only', value };
  };

  /* Three digits after the point in a cell; four in the total. */
  const number = (value, digits = 3) => (value === -Infinity ? '−∞' : Math.abs(value) < 0.5 * 10 ** -digits ? '0' : value.toFixed(Math.abs(value) < 100 ? digits : 1).replace('-', '−'));

  function matrix(values, caption) {
    const { element } = Jaxcnn;
    const sign = (value) => (Math.abs(value) < 5e-4 ? 'zero' : value > 0 ? 'positive' : 'negative');
    return element('table', { class: 'nv-matrix' }, element('caption', { text: Jaxcnn.word(caption) }),
      element('tbody', {}, ...values.map((row) => element('tr', {}, ...row.map((value) => (
        element('td', { class: `nv-${sign(value)}`, text: number(value) })))))));
  }

  /** Show how a value arises within an element. */
  Jaxcnn.showValue = function (root, worked) {
    const { element, word } = Jaxcnn;
    const value = number(worked.value, 4);
    const line = (key, values) => element('p', { class: 'nv-total', text: word(key, values) });
    root.replaceChildren();
    if (worked.kind === 'conv' || worked.kind === 'dense') {
      const largest = [...worked.terms].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum)).slice(0, SHOWN);
      root.append(line('nv_sum', { sum: number(worked.sum, 4), bias: number(worked.bias, 4), value }));
      if (worked.terms.length > SHOWN) {
        root.append(element('p', { class: 'nv-note', text: word('nv_largest', { count: SHOWN, all: worked.terms.length }) }));
      }
      root.append(element('ul', { class: 'nv-terms' }, ...largest.map((term) => {
        if (worked.kind === 'dense') {
          return element('li', { text: word('nv_weighted', {
            channel: term.channel + 1, x: number(term.x), weight: number(term.weight), sum: number(term.sum) }) });
        }
        return element('li', {},
          element('p', { text: word('nv_channel', { channel: term.channel + 1, sum: number(term.sum) }) }),
          element('div', { class: 'nv-pair' }, matrix(term.window, 'nv_window'), element('span', { text: '·' }), matrix(term.kernel, 'nv_kernel')));
      })));
    } else if (worked.window) {
      root.append(line(`nv_${worked.kind}`, { value }), matrix(worked.window, 'nv_window'));
    } else {
      root.append(line(`nv_${worked.kind}`, { value, before: number(worked.before || 0) }));
    }
  };
})();
