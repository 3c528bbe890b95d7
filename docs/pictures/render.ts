/**
 * Renders a pull request's comment into a picture, as a reviewer sees it:
 *
 *     node docs/pictures/render.ts controller/pr/testdata/regressed.md docs/pictures/pr-comment.png
 *
 * Needs Chromium (or CHROMIUM=/path/to/it) and, through npx, a Markdown renderer; Slipway itself needs neither.
 */
import { execFile } from "node:child_process";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const MARKED = "marked@16.4.2";
const WIDTH = 900;
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--hide-scrollbars",
];
const CANDIDATES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

const STYLE = `
  body { margin: 16px; background: #fff; color: #1f2328;
    font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", Helvetica, Arial, sans-serif, "Noto Color Emoji"; }
  article { border: 1px solid #d1d9e0; border-radius: 6px; }
  header { padding: 8px 16px; background: #f6f8fa; border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0; color: #59636e; }
  header b { color: #1f2328; }
  header span { border: 1px solid #d1d9e0; border-radius: 2em; padding: 0 6px; font-size: 12px; }
  article > div { padding: 4px 16px 16px; }
  h2 { font-size: 1.5em; border-bottom: 1px solid #d1d9e0b3; padding-bottom: .3em; margin: 16px 0; }
  h3 { font-size: 1.25em; margin: 24px 0 12px; }
  p { margin: 0 0 12px; }
  code { background: #818b981f; border-radius: 6px; padding: .2em .4em; white-space: break-spaces;
    font: 85% ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; }
  table { border-collapse: collapse; margin: 0 0 12px; display: block; width: max-content; max-width: 100%; overflow: auto; }
  th, td { border: 1px solid #d1d9e0; padding: 6px 13px; }
  tr:nth-child(2n) td { background: #f6f8fa; }
  details { margin: 0 0 12px; }
  sub { font-size: 75%; line-height: 0; color: #59636e; vertical-align: baseline; }
  blockquote { margin: 0 0 16px; padding: 8px 16px; border-left: 4px solid; }
  blockquote p, blockquote ul { margin: 0; } blockquote ul { padding-left: 20px; }
  .kind { font-weight: 600; }
  .note { border-color: #0969da; } .note .kind { color: #0969da; }
  .tip { border-color: #1a7f37; } .tip .kind { color: #1a7f37; }
  .important { border-color: #8250df; } .important .kind { color: #8250df; }
  .warning { border-color: #9a6700; } .warning .kind { color: #9a6700; }
  .caution { border-color: #cf222e; } .caution .kind { color: #cf222e; }
`;

const run = promisify(execFile);
const [source, target] = process.argv.slice(2);
if (source === undefined || target === undefined) {
  console.error("usage: node docs/pictures/render.ts COMMENT.md PICTURE.png");
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), "slipway-picture-"));
try {
  const { stdout } = await run("npx", ["--yes", MARKED, "--gfm", "-i", source], { cwd: process.cwd() });
  const page = join(folder, "comment.html");
  await writeFile(page, pageOf(stdout));
  const flags = [...FLAGS, `--user-data-dir=${join(folder, "profile")}`];
  const { stdout: dom } = await run(await chromium(), [
    ...flags,
    `--window-size=${WIDTH},100`,
    "--dump-dom",
    `file://${page}`,
  ]);
  const height = /data-height="(\d+)"/.exec(dom)?.[1] ?? "1500";
  await run(await chromium(), [
    ...flags,
    `--window-size=${WIDTH},${height}`,
    `--screenshot=${target}`,
    `file://${page}`,
  ]);
  console.log(`${target}: ${Math.ceil((await readFile(target)).length / 1024)} KB`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function chromium(): Promise<string> {
  for (const path of [process.env.CHROMIUM, ...CANDIDATES]) {
    if (path === undefined) continue;
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new Error("no Chromium found: set CHROMIUM to its path");
}

/** The comment in a frame like a forge's. */
function pageOf(html: string): string {
  const body = html.replace(
    /<blockquote>\s*<p>\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*(?:<\/p>)?/g,
    (_, kind: string) =>
      `<blockquote class="alert ${kind.toLowerCase()}"><p class="kind">${kind.charAt(0)}${kind.slice(1).toLowerCase()}</p><p>`,
  );
  return `<!doctype html><meta charset="utf-8"><style>${STYLE}</style>
<article><header><b>slipway</b> <span>bot</span> commented on this pull request</header><div>${body}</div></article>
<script>document.body.dataset.height = document.querySelector("article").offsetHeight + 32</script>`;
}
