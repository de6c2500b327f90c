/* Elements of the page: made without markup, so that no text from data becomes HTML. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});

  /** Return an element; `on…` entries are listeners, `text` is its text, others are attributes. */
  Jaxcnn.element = function (tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name === 'text') element.textContent = value;
      else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? '' : String(value));
    }
    element.append(...children);
    return element;
  };

  /** Return a group of radio buttons that look like one control: options are [value, word key]. */
  Jaxcnn.choice = function (name, labelKey, options, chosen, onChange) {
    const { element } = Jaxcnn;
    const buttons = options.map(([value, key]) => {
      const input = element('input', {
        type: 'radio', name, value, checked: value === chosen,
        onchange: () => onChange(value),
      });
      const text = /^[0-9]/.test(key) ? element('span', { text: key })
        : element('span', { 'data-word': key });
      return element('label', { class: 'choice' }, input, text);
    });
    const legend = element('legend', { 'data-word': labelKey });
    return element('fieldset', { class: 'choices' }, legend, element('div', {}, ...buttons));
  };

  /** Return a switch: a checkbox with its text. */
  Jaxcnn.toggle = function (id, labelKey, on, onChange) {
    const { element } = Jaxcnn;
    const input = element('input', {
      type: 'checkbox', role: 'switch', id, checked: on,
      onchange: () => onChange(input.checked),
    });
    return element('label', { class: 'toggle' }, input, element('i', { 'aria-hidden': 'true' }),
      element('span', { 'data-word': labelKey }));
  };

  /** Return a number with at most four digits after the point, and a true minus. */
  Jaxcnn.numberText = function (value) {
    const rounded = Math.round(value * 1e4) / 1e4;
    return String(rounded === 0 ? 0 : rounded).replace('-', '−').replace('Infinity', '∞');
  };

  /** Return the class of a number by its sign, as it is shown. */
  Jaxcnn.signOf = function (value) {
    if (Math.abs(value) < 5e-5) return 'zero';
    return value < 0 ? 'negative' : 'positive';
  };

  /** Return a table of numbers, row by row, captioned by the word `key`; a cell has the color of its
      sign, or background and text color as `colorsOf(value)` returns them. */
  Jaxcnn.matrix = function (key, numbers, columns, { colorsOf, write = Jaxcnn.numberText } = {}) {
    const { element } = Jaxcnn;
    const rows = Array.from({ length: numbers.length / columns }, (_, row) => {
      const cells = Array.from(numbers.slice(row * columns, (row + 1) * columns), (value) => {
        const cell = element('td', { text: write(value) });
        if (colorsOf) [cell.style.backgroundColor, cell.style.color] = colorsOf(value);
        else cell.className = Jaxcnn.signOf(value);
        return cell;
      });
      return element('tr', {}, ...cells);
    });
    return element('table', { class: `matrix ${key}${columns > 3 ? ' large' : ''}` },
      element('caption', { text: Jaxcnn.word(key) }), element('tbody', {}, ...rows));
  };

  /** Return a table or a sum with the sign before it, which stay in one line. */
  Jaxcnn.after = function (sign, part) {
    const { element } = Jaxcnn;
    return element('div', { class: 'worked-step' }, element('span', { class: 'symbol', text: sign }), part);
  };

  /** Return a captioned sum, and lines of what follows from it. */
  Jaxcnn.total = function (caption, sum, ...lines) {
    const { element } = Jaxcnn;
    return element('div', { class: 'total' }, element('span', { class: 'caption', text: caption }),
      element('span', { class: 'sum', text: Jaxcnn.numberText(sum) }), ...lines.map((text) => element('span', { text })));
  };

  /** Return the value of a text such as 0.5, −1 or 1/9; NaN if it is none. */
  Jaxcnn.parseNumber = function (text) {
    const parts = text.trim().replace('−', '-').replace(',', '.').split('/');
    const numbers = parts.map((part) => (/^-?(\d+\.?\d*|\.\d+)$/.test(part.trim()) ? Number(part) : NaN));
    if (parts.length > 2) return NaN;
    const value = numbers.length === 2 ? numbers[0] / numbers[1] : numbers[0];
    return Number.isFinite(value) && Math.abs(value) <= 1e6 ? value : NaN;
  };

  /** Return a weight as a fraction where that is shorter: 1/9, 1/16. */
  Jaxcnn.weightText = function (value) {
    if (Number.isInteger(value)) return Jaxcnn.numberText(value);
    for (const below of [2, 3, 4, 8, 9, 16, 25, 256]) {
      const above = value * below;
      if (Math.abs(above - Math.round(above)) < 1e-6) {
        return `${Jaxcnn.numberText(Math.round(above))}/${below}`;
      }
    }
    return Jaxcnn.numberText(value);
  };
})();
