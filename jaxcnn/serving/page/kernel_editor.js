/* The kernel as numbers that can be edited, and the known kernels to start from. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});

  /** Return the presets, and the editor: both change `state.weights` and call `onChange`. */
  Jaxcnn.kernelEditor = function (state, filters, onChange) {
    const { element } = Jaxcnn;
    const grid = element('div', { class: 'kernel', role: 'group', 'data-word-label': 'kernel' });
    const warning = element('p', { class: 'warning', role: 'alert' });
    const presets = Jaxcnn.choice('preset', 'presets',
      [...filters.map(({ name }) => [name, name]), ['own', 'own_kernel']], state.preset, choose);
    const sizes = Jaxcnn.choice('size', 'size', [['3', '3×3'], ['5', '5×5']], '3', (size) => {
      resize(Number(size));
      show();
      own();
    });
    const bias = element('input', {
      type: 'text', inputmode: 'decimal', id: 'bias', value: '0', autocomplete: 'off', size: 5,
      oninput: () => read(bias, (value) => { state.bias = value; }),
    });
    const flip = Jaxcnn.toggle('flip', 'flip', false, (on) => {
      state.flip = on;
      onChange();
    });
    let cells = [];

    function choose(name) {
      const found = filters.find((each) => each.name === name);
      state.preset = name;
      if (found) {
        state.size = found.kernel.length;
        state.weights = Float32Array.from(found.kernel.flat());
        // Kernels of edges have a sum of 0: half of what they give is negative.
        state.signed = Math.abs(state.weights.reduce((sum, each) => sum + each, 0)) < 1e-6;
        show();
      }
      onChange();
    }

    /** Keep the middle of the kernel: zeros around it, or the outer weights left out. */
    function resize(size) {
      const before = state.size;
      const shift = (size - before) / 2;
      const weights = new Float32Array(size * size);
      for (let row = 0; row < size; row += 1) {
        for (let column = 0; column < size; column += 1) {
          const [y, x] = [row - shift, column - shift];
          if (y >= 0 && y < before && x >= 0 && x < before) {
            weights[row * size + column] = state.weights[y * before + x];
          }
        }
      }
      state.size = size;
      state.weights = weights;
    }

    function own() {
      state.preset = 'own';
      presets.querySelector('[value=own]').checked = true;
      onChange();
    }

    function read(input, store) {
      const value = Jaxcnn.parseNumber(input.value);
      const isWrong = Number.isNaN(value);
      input.setAttribute('aria-invalid', String(isWrong));
      const wrong = [bias, ...cells].some((each) => each.getAttribute('aria-invalid') === 'true');
      warning.textContent = wrong ? Jaxcnn.word('weight_wrong') : '';
      if (isWrong) return;
      store(value);
      if (input === bias) onChange();
      else own();
    }

    function show() {
      const { size } = state;
      sizes.querySelector(`[value="${size}"]`).checked = true;
      grid.classList.toggle('wide', size === 5);
      cells = Array.from(state.weights, (weight, place) => {
        const input = element('input', {
          type: 'text', inputmode: 'decimal', autocomplete: 'off', spellcheck: 'false',
          value: Jaxcnn.weightText(weight), 'aria-invalid': 'false',
          oninput: () => read(input, (value) => { state.weights[place] = value; sign(); }),
          onkeydown: (event) => move(event, place),
          onfocus: () => input.select(),
        });
        return input;
      });
      grid.replaceChildren(...cells);
      warning.textContent = '';
      name();
      sign();
    }

    function sign() {
      cells.forEach((cell, place) => {
        cell.className = Jaxcnn.signOf(state.weights[place]);
      });
    }

    /** Up and down lead to the weight above and below; left and right stay in the text. */
    function move(event, place) {
      const step = { ArrowUp: -state.size, ArrowDown: state.size }[event.key];
      const cell = step && cells[place + step];
      if (!cell) return;
      event.preventDefault();
      cell.focus();
    }

    function name() {
      cells.forEach((cell, place) => cell.setAttribute('aria-label', Jaxcnn.word('weight', {
        row: Math.floor(place / state.size) + 1, column: (place % state.size) + 1,
      })));
    }

    choose(state.preset);
    Jaxcnn.onLanguage(name);
    const label = element('label', { for: 'bias', 'data-word': 'bias' });
    const line = element('div', { class: 'line' }, sizes,
      element('div', { class: 'number' }, label, bias));
    const heading = element('h3', { 'data-word': 'kernel' });
    return { presets, editor: element('div', { class: 'editor' }, heading, grid, warning, line, flip) };
  };
})();
