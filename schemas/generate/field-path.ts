/** A field as people write it, from the keywords that lead to it in a JSON Schema: `spec.messages[].role`. */
export function fieldPath(root: string, keywords: readonly (string | number)[]): string {
  let path = root;
  for (let at = 0; at < keywords.length; at++) {
    const keyword = keywords[at];
    if (keyword === "properties") path = childPath(path, String(keywords[++at]));
    else if (keyword === "items") path = itemPath(path);
    else if (keyword === "additionalProperties") path = valuePath(path);
    else if (keyword === "propertyNames") path = `${path} (keys)`;
  }
  return path;
}

export function childPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

export function itemPath(path: string): string {
  return `${path}[]`;
}

export function valuePath(path: string): string {
  return `${path}.*`;
}
