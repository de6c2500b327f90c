/* The most confident mistakes of the run, with the heat of their Grad-CAM. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});

  /** Show mistakes: {picture, heat, truth, predicted, probability, truth_probability}. */
  Jaxcnn.startErrors = function (root, mistakes) {
    const { element } = Jaxcnn;
    if (!mistakes.length) {
      root.append(element('p', { 'data-word': 'errors_none' }));
      return;
    }
    const list = element('ul', { class: 'mistakes' });
    const heat = Jaxcnn.toggle('errors-heat', 'errors_heat', true, (on) => {
      list.classList.toggle('without-heat', !on);
    });
    list.append(...mistakes.map(card));
    root.append(element('div', { class: 'controls' }, heat), list);
  };

  function card(mistake) {
    const { element } = Jaxcnn;
    const picture = element('img', { src: mistake.picture, alt: '' });
    const heat = element('img', { src: mistake.heat, alt: '', class: 'heat' });
    const views = element('div', { class: 'views', role: 'img' }, picture, heat);
    const rows = [
      ['predicted_class', mistake.predicted, mistake.probability],
      ['true_class', mistake.truth, mistake.truth_probability],
    ].filter(([, , share]) => Number.isFinite(share)).map(([key, name, share]) => {
      const bar = element('span', { class: 'bar-of-share', 'aria-hidden': 'true' }, element('i'));
      bar.firstChild.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
      return element('div', { class: key },
        element('dt', { 'data-word': key }),
        element('dd', {}, element('b', { text: name, title: name }),
          element('span', { class: 'share', text: percent(share) }), bar));
    });
    Jaxcnn.onLanguage(() => views.setAttribute('aria-label', Jaxcnn.word('mistake_label', {
      truth: mistake.truth, predicted: mistake.predicted, probability: percent(mistake.probability),
    })));
    return element('li', {}, views, element('dl', {}, ...rows));
  }

  function percent(share) {
    return `${(100 * share).toFixed(1)} %`;
  }
})();
