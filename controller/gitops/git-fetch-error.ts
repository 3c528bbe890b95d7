import { SlipwayError } from "../errors.ts";

/** What a failed fetch says, by what git printed. */
export function fetchError(text: string, url: string, refs: readonly string[]): SlipwayError {
  if (/Authentication failed|could not read Username|HTTP 40[13]|error: 40[13]/i.test(text)) {
    return new SlipwayError("GitUnauthorized", `${url} refused the credentials`, {
      hint: "check username and password in the Secret of spec.secretRef",
    });
  }
  if (/couldn't find remote ref/i.test(text)) {
    return new SlipwayError("GitRefNotFound", `${url} has no ${refs.join(", ")}`, {
      hint: "check spec.branch",
    });
  }
  if (/repository .* not found|error: 404/i.test(text)) {
    return new SlipwayError("GitNotFound", `there is no repository at ${url}`, {
      hint: "check spec.url and spec.secretRef",
    });
  }
  // Progress comes first; what went wrong is marked.
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const firstLine = lines.find((line) => /^\s*(fatal|error): /.test(line)) ?? lines[0] ?? "unknown error";
  return new SlipwayError("GitUnreachable", `cannot fetch ${url}: ${firstLine.slice(0, 300)}`, {
    retryable: true,
  });
}
