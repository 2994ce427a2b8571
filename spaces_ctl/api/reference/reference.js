// Shows /api/v1/openapi.json. All text is set as text, never as HTML.

const METHODS = ["get", "post", "put", "patch", "delete"];
const root = document.querySelector("#operations");
const filter = document.querySelector("#filter");

const element = (name, text, ...children) => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
};

/** A schema in one line, or by its name. */
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf || schema.oneOf) return (schema.anyOf ?? schema.oneOf).map(kind).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `${kind(schema.items) || "any"}[]`;
  return [schema.type].flat().join(" | ") || "any";
}

function fields(schema, all) {
  const named = schema?.$ref ? all[schema.$ref.split("/").at(-1)] : schema;
  if (!named?.properties) return [element("p", kind(schema))];
  const rows = Object.entries(named.properties).map(([name, of]) =>
    element("tr", "", element("td", "", element("code", name)), element("td", kind(of)),
      element("td", (named.required ?? []).includes(name) ? "required" : "default" in of ? JSON.stringify(of.default) : ""),
      element("td", of.description ?? "")));
  return [element("p", kind(schema)), element("table", "", ...rows)];
}

function operation(path, method, it, all) {
  const head = element("summary", "", element("b", method.toUpperCase()), element("code", path), ` ${it.summary ?? ""}`);
  const parts = [head, element("p", it.description ?? "")];
  const parameters = it.parameters ?? [];
  if (parameters.length) {
    parts.push(element("h4", "Parameters"), element("table", "", ...parameters.map((one) =>
      element("tr", "", element("td", "", element("code", one.name)), element("td", one.in), element("td", kind(one.schema)),
        element("td", one.required ? "required" : ""), element("td", one.description ?? "")))));
  }
  const body = Object.values(it.requestBody?.content ?? {})[0];
  if (body) parts.push(element("h4", "Body"), ...fields(body.schema, all));
  parts.push(element("h4", "Answers"));
  parts.push(element("table", "", ...Object.entries(it.responses ?? {}).map(([status, answer]) =>
    element("tr", "", element("td", status), element("td", kind(Object.values(answer.content ?? {})[0]?.schema)),
      element("td", answer.description ?? "")))));
  const made = element("details", "", ...parts);
  made.dataset.words = `${method} ${path} ${it.summary ?? ""} ${it.operationId ?? ""}`.toLowerCase();
  return made;
}

const tree = await (await fetch("/api/v1/openapi.json")).json();
const sections = new Map();
for (const [path, methods] of Object.entries(tree.paths)) {
  for (const method of METHODS.filter((name) => methods[name])) {
    const tag = methods[method].tags?.[0] ?? "Other";
    if (!sections.has(tag)) sections.set(tag, element("section", "", element("h2", tag)));
    sections.get(tag).append(operation(path, method, methods[method], tree.components.schemas));
  }
}
root.replaceChildren(...sections.values());
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/);
  for (const made of root.querySelectorAll("details")) made.hidden = !words.every((word) => made.dataset.words.includes(word));
});
