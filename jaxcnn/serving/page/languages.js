/* The language and the theme of the page. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  const listeners = [];
  const preferred = (navigator.languages || [navigator.language || 'en'])
    .map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in Jaxcnn.words);
  Jaxcnn.language = stored('language', Object.keys(Jaxcnn.words)) || preferred || 'en';

  /** Return a text of the language, with {name} replaced by the values of these names. */
  Jaxcnn.word = function (key, values) {
    const words = Jaxcnn.words[Jaxcnn.language];
    const text = Object.hasOwn(words, key) ? words[key] : key;
    return text.replace(/\{(\w+)\}/g, (all, name) => (
      values && Object.hasOwn(values, name) ? String(values[name]) : all));
  };

  /** Call back now and after each change of the language. */
  Jaxcnn.onLanguage = function (callback) {
    listeners.push(callback);
    callback(Jaxcnn.language);
  };

  /** Translate the texts and labels within an element. */
  Jaxcnn.translate = function (root) {
    for (const each of root.querySelectorAll('[data-word]')) {
      each.textContent = Jaxcnn.word(each.dataset.word);
    }
    for (const each of root.querySelectorAll('[data-word-label]')) {
      each.setAttribute('aria-label', Jaxcnn.word(each.dataset.wordLabel));
    }
  };

  /** Change the language of the whole page. */
  Jaxcnn.setLanguage = function (language) {
    if (!(language in Jaxcnn.words)) return;
    Jaxcnn.language = language;
    store('language', language);
    document.documentElement.lang = language;
    Jaxcnn.translate(document);
    for (const callback of listeners) callback(language);
  };

  /** Choose the light or the dark page; without a choice it is that of the system. */
  Jaxcnn.startTheme = function (button) {
    const system = matchMedia('(prefers-color-scheme: dark)');
    let chosen = stored('theme', ['light', 'dark']);
    const show = () => {
      const theme = chosen || (system.matches ? 'dark' : 'light');
      document.documentElement.dataset.theme = theme;
      button.setAttribute('aria-checked', String(theme === 'dark'));
    };
    button.addEventListener('click', () => {
      chosen = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
      store('theme', chosen);
      show();
    });
    system.addEventListener('change', show);
    show();
  };

  // A browser may refuse to store anything, such as for a page that is a file.
  function stored(name, allowed) {
    try {
      const value = localStorage.getItem(`jaxcnn.${name}`);
      return allowed.includes(value) ? value : null;
    } catch (error) {
      return null;
    }
  }

  function store(name, value) {
    try {
      localStorage.setItem(`jaxcnn.${name}`, value);
    } catch (error) { /* it lasts until the page is closed */ }
  }
})();
