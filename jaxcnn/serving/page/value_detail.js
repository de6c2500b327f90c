/* One value of a feature map, worked out: the window, the kernel, the products and their sum. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  // Terms of a sum that are shown, the largest first; the others are added up.
  const SHOWN = 6;
  const total = (values) => values.reduce((sum, value) => sum + value, 0);

  /* The node of a layer, and the value that it reads. */
  function nodeOf(network, layer) {
    return network.nodes.find((node) => layer.kernel && node.inputs.includes(layer.kernel))
      || network.nodes.find((node) => node.outputs.includes(layer.value));
  }

  /* The values under the window, row by row. */
  function windowAt(x, channel, y, column, node, kernel, outside = 0) {
    const { strides = [], dilations = [], pads = [] } = node.attributes;
    const line = x.shape.length === 3;
    const [h, w] = line ? [1, x.shape[2]] : x.shape.slice(2);
    const [kh, kw] = line ? [1, kernel[0]] : kernel;
    const of = (values, axis) => (line ? (axis ? values[0] : undefined) : values[axis]);
    const [top, left] = line ? [0, pads[0] || 0] : [pads[0] || 0, pads[1] || 0];
    return Array.from({ length: kh * kw }, (_, i) => {
      const row = y * (of(strides, 0) || 1) + Math.floor(i / kw) * (of(dilations, 0) || 1) - top;
      const at = column * (of(strides, 1) || 1) + (i % kw) * (of(dilations, 1) || 1) - left;
      return row < 0 || row >= h || at < 0 || at >= w ? outside : x.data[(channel * h + row) * w + at];
    });
  }

  /** Return how a value arises: {kind, value, terms: [{channel, sum, …}], bias, width}. */
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
        const weights = window.map((_v, i) => kernel.data[(channel * cg + c) * area + i]);
        const products = window.map((v, i) => v * weights[i]);
        return { channel: first + c, window, weights, products, sum: total(products) };
      });
      return { kind: 'conv', value, terms, width, bias: bias ? bias.data[channel] : 0 };
    }
    if (node && (node.op === 'Gemm' || node.op === 'MatMul') && input.shape.length === 2) {
      const weights = network.value(node.inputs[1]);
      const turned = node.attributes.transB;
      const [k, n] = turned ? [weights.shape[1], weights.shape[0]] : weights.shape;
      const terms = Array.from({ length: k }, (_, c) => {
        const weight = weights.data[turned ? channel * k + c : c * n + channel];
        return { channel: c, x: input.data[c], weight, sum: input.data[c] * weight };
      });
      return { kind: 'dense', value, terms, bias: bias ? bias.data[channel] : 0 };
    }
    if (node && (node.op === 'MaxPool' || node.op === 'AveragePool')) {
      const sides = node.attributes.kernel_shape;
      const window = windowAt(input, channel, y, x, node, sides, node.op === 'MaxPool' ? -Infinity : 0);
      return { kind: node.op === 'MaxPool' ? 'max' : 'average', value, window, width: sides[sides.length - 1] };
    }
    if (node && node.inputs.length === 1 && input.data.length === output.data.length && node.op !== 'Transpose' && node.op !== 'Softmax') {
      return { kind: 'from', value, before: input.data[maps.at(channel, y, x)] };
    }
    return { kind: 'only', value };
  };

  /* The window of one input map: values × kernel = products, and their sum. */
  function tables({ channel, window, weights, products, sum }, width) {
    const { after, element, matrix, word } = Jaxcnn;
    return element('div', { class: 'worked-channel' },
      element('h5', { text: word('nv_channel', { channel: channel + 1 }) }),
      element('div', { class: 'worked-line' }, matrix('nv_window', window, width), after('×', matrix('nv_kernel', weights, width)),
        after('=', matrix('products', products, width)), after('→', Jaxcnn.total(word('sum'), sum))));
  }

  /* The largest terms of a dense layer, the sum of the others, the bias, and the value. */
  function terms(shown, rest, { terms: all, bias, value }) {
    const { element, numberText, word } = Jaxcnn;
    const row = (...texts) => element('tr', {}, element('th', { scope: 'row', text: texts[0] }), ...texts.slice(1).map((text) => element('td', { text })));
    const sum = (text, number) => row(text, '', '', numberText(number));
    const others = all.length - shown.length;
    const heads = ['nv_input_value', 'nv_value', 'nv_weight', 'nv_product'].map((key) => element('th', { scope: 'col', text: word(key) }));
    return element('table', { class: 'nv-products' }, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {},
      ...shown.map(({ channel, x, weight, sum: product }) => row(String(channel + 1), numberText(x), `× ${numberText(weight)}`, `= ${numberText(product)}`)),
      ...(others ? [sum(word('nv_others', { count: others }), rest)] : []), sum(word('bias'), bias), sum(word('sum'), value)));
  }

  /** Show how a value arises within an element. */
  Jaxcnn.showValue = function (root, worked) {
    const { element, matrix, numberText, word } = Jaxcnn;
    const value = numberText(worked.value);
    const line = (key, values) => element('p', { class: 'nv-total', text: word(key, values) });
    root.replaceChildren();
    if (worked.terms) {
      const sorted = [...worked.terms].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
      const [shown, others] = [sorted.slice(0, SHOWN), sorted.slice(SHOWN)];
      const rest = total(others.map((term) => term.sum));
      const sum = numberText(total(shown.map((term) => term.sum)));
      const values = { sum, rest: numberText(rest), count: shown.length, others: others.length, bias: numberText(worked.bias), value };
      root.append(line(others.length ? `nv_sum_${worked.kind}` : 'nv_sum', values));
      if (worked.kind === 'dense') root.append(terms(shown, rest, worked));
      else root.append(...shown.map((term) => tables(term, worked.width)));
    } else if (worked.window) {
      const table = matrix('nv_window', worked.window, worked.width);
      if (worked.kind === 'max') table.querySelectorAll('td')[worked.window.indexOf(worked.value)].classList.add('chosen');
      root.append(line(`nv_${worked.kind}`, { value }), table);
    } else {
      root.append(line(`nv_${worked.kind}`, { value, before: numberText(worked.before || 0) }));
    }
  };
})();
