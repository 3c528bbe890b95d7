import { describe, expect, it } from "vitest";
import { parseForgeUrl } from "./parse-url.ts";

describe("parseForgeUrl", () => {
  it.each([
    ["https://github.com/team/app", {}, "GitHub", "team/app", "https://api.github.com"],
    ["https://github.com/team/app.git/", {}, "GitHub", "team/app", "https://api.github.com"],
    ["https://GitHub.com/Team/app.js.git", {}, "GitHub", "Team/app.js", "https://api.github.com"],
    ["git@github.com:team/app.git", {}, "GitHub", "team/app", "https://api.github.com"],
    ["ssh://git@github.com/team/app", {}, "GitHub", "team/app", "https://api.github.com"],
    ["https://ghe.corp/team/app", { kind: "GitHub" }, "GitHub", "team/app", "https://ghe.corp/api/v3"],
    [
      "http://gitea.git.svc:3000/team/app.git",
      { kind: "Gitea" },
      "Gitea",
      "team/app",
      "http://gitea.git.svc:3000/api/v1",
    ],
    [
      "https://corp.example/git/team/app",
      { kind: "Gitea" },
      "Gitea",
      "team/app",
      "https://corp.example/git/api/v1",
    ],
    [
      "https://git.example/team/app",
      { apiUrl: "http://[::1]:3000/api/v1/" },
      "Gitea",
      "team/app",
      "http://[::1]:3000/api/v1",
    ],
    [
      "https://ghe.corp/team/app",
      { apiUrl: "https://ghe.corp/api/v3" },
      "GitHub",
      "team/app",
      "https://ghe.corp/api/v3",
    ],
    [
      "git@git.example:team/app.git",
      { apiUrl: "https://git.example/api/v1" },
      "Gitea",
      "team/app",
      "https://git.example/api/v1",
    ],
    [
      "ssh://git@git.example:2222/team/app.git",
      { apiUrl: "https://git.example/api/v1" },
      "Gitea",
      "team/app",
      "https://git.example/api/v1",
    ],
  ] as const)("%s %j", (url, options, kind, repository, apiUrl) => {
    expect(parseForgeUrl(url, options)).toMatchObject({ kind, repository, apiUrl });
  });

  it.each([
    ["", {}, "no URL"],
    ["team/app", {}, "no URL"],
    ["file:///srv/git/team/app.git", {}, "file://"],
    ["git://git.example/team/app", { kind: "Gitea" }, "git://"],
    ["https://github.com/app", {}, "names no repository"],
    ["https://github.com/team/.git", {}, "names no repository"],
    ["https://github.com/team/...git", {}, "names no repository"],
    ["https://github.com/team/app/tree/main", {}, "no repository of github.com"],
    ["https://github.com/team/app?ref=main", {}, "query"],
    ["https://github.com/team/app#main", {}, "fragment"],
    ["https://github.com/team/a%2Fb", {}, "odd path"],
    ["https://github.com//team//app", {}, "odd path"],
    ["https://git.example/team/app", {}, "Which forge"],
    ["git@git.example:team/app", { kind: "Gitea" }, "ssh URL"],
    ["https://git.example/team/app", { apiUrl: "ftp://git.example/api/v1" }, "apiURL"],
    ["https://git.example/team/app", { apiUrl: "nonsense" }, "apiURL"],
  ] as const)("refuses %s %j", (url, options, problem) => {
    expect(() => parseForgeUrl(url, options)).toThrowError(
      expect.objectContaining({ code: "ForgeUrlInvalid", message: expect.stringContaining(problem) }),
    );
  });

  it("does not repeat a credential that stands in the URL", () => {
    for (const url of ["https://user:s3cret@github.com/team/app", "https://s3cret@github.com/team/app"]) {
      expect(() => parseForgeUrl(url)).toThrowError(/^(?!.*s3cret).*credential/);
    }
  });
});
