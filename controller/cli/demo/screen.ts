import pc from "picocolors";
import { createProgress, type Report } from "../../dev/progress.ts";

/** What the demo shows: numbered steps with their time, and blocks of what a person would look at. */
export interface Screen {
  /** Runs one step; its progress is one updating line. */
  step<T>(title: string, work: (report: Report) => Promise<T>): Promise<T>;
  /** Something to look at, with a heading. */
  show(heading: string, text: string): void;
  line(text: string): void;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

export function createScreen(steps: number, out: NodeJS.WriteStream = process.stdout): Screen {
  let number = 0;
  return {
    async step(title, work) {
      number += 1;
      const label = pc.bold(`[${number}/${steps}]`);
      const progress = createProgress(out);
      const started = performance.now();
      progress.report(`[${number}/${steps}] ${title} …`);
      try {
        const result = await work((message) => progress.report(`[${number}/${steps}] ${title}: ${message}`));
        progress.done();
        out.write(`${label} ${title} ${pc.dim(seconds(performance.now() - started))}\n`);
        return result;
      } catch (error) {
        progress.done();
        out.write(`${label} ${pc.red(`${title} failed`)} ${pc.dim(seconds(performance.now() - started))}\n`);
        throw error;
      }
    },
    show(heading, text) {
      const indented = text
        .trimEnd()
        .split("\n")
        .map((row) => `    ${row}`);
      out.write(`\n  ${pc.cyan(heading)}\n${indented.join("\n")}\n\n`);
    },
    line(text) {
      out.write(`${text}\n`);
    },
  };
}
