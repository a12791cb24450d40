// Shows one contract in Swagger UI, dark where the reader's system is, and follows the contract's links: what an answer
// gives (an id) is filled into the forms of the operations that take it.
(() => {
  "use strict";

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  if (matchMedia("(max-width: 56rem)").matches) document.querySelector("nav details").open = false;
  else document.querySelector("nav [aria-current]").parentElement.scrollIntoView({ block: "nearest" });

  // "$response.body#/a/b" of an answer; undefined for any other expression, or when the answer lacks it.
  const evaluate = (expression, response) => {
    const [, pointer] = /^\$response\.body#(\/.*)$/.exec(expression) ?? [];
    if (pointer === undefined) return undefined;
    try {
      return pointer.slice(1).split("/").reduce((value, key) => value?.[key], JSON.parse(response.text));
    } catch {
      return undefined;
    }
  };

  const operation = (paths, id) =>
    Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, found]) => [path, method, found]))
      .find(([, , found]) => found.operationId === id);

  const fill = (system, pathMethod, name, value) => {
    // A form that is open already holds its parameters by their content, others by their name.
    const open = system.specSelectors.specJsonWithResolvedSubtrees().getIn(["paths", ...pathMethod, "parameters"]);
    for (const parameter of open ?? []) {
      if (parameter.get("name") !== name) continue;
      system.specActions.changeParam(pathMethod, name, parameter.get("in"), value, false);
      system.specActions.changeParamByIdentity(pathMethod, parameter, value, false);
    }
  };

  const followLinks = () => ({
    statePlugins: {
      spec: {
        wrapActions: {
          setResponse: (original, system) => (path, method, response) => {
            const shown = original(path, method, response);
            const paths = system.specSelectors.specJson().get("paths").toJS();
            const links = paths[path]?.[method]?.responses?.[response.status]?.links ?? {};
            for (const link of Object.values(links)) {
              const target = operation(paths, link.operationId);
              for (const [name, expression] of Object.entries(link.parameters ?? {})) {
                const value = evaluate(expression, response);
                if (target && value !== undefined) fill(system, target.slice(0, 2), name, String(value));
              }
            }
            return shown;
          },
        },
      },
    },
  });

  const ui = SwaggerUIBundle({
    url: document.getElementById("swagger-ui").dataset.contract,
    dom_id: "#swagger-ui",
    deepLinking: true,
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    docExpansion: "list",
    layout: "BaseLayout",
    plugins: [followLinks],
    presets: [SwaggerUIBundle.presets.apis],
    tryItOutEnabled: true,
    validatorUrl: null,
  });

  // Routes of the contract that is shown are opened here; others are on a page of their own.
  document.querySelector("nav").addEventListener("click", (event) => {
    const link = event.target.closest("a.route");
    if (!link || new URL(link.href).search !== location.search && link.closest("li:has(> .system[aria-current])") === null) return;
    event.preventDefault();
    const [tag, id] = new URL(link.href).hash.slice(2).split("/").map(decodeURIComponent);
    ui.layoutActions.show(["operations-tag", tag], true);
    ui.layoutActions.show(["operations", tag, id], true);
    history.replaceState(null, "", link.href);
    document.getElementById(`operations-${tag}-${id}`)?.scrollIntoView({ block: "start" });
  });
})();
