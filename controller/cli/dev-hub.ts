import { once } from "node:events";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { startHub } from "../dev/hub.ts";
import { SlipwayError } from "../errors.ts";
import { integer } from "./arguments.ts";
import { onInterrupt } from "./interrupt.ts";

interface HubCommandOptions {
  readonly host: string;
  readonly port: number;
  readonly model: Record<string, string>;
  readonly dataset: Record<string, string>;
}

/** `slipway dev hub`: folders of this machine as a Hugging Face hub, for `hf://` where huggingface.co is not reached. */
export function devHubCommand(): Command {
  const folder = "as organisation/name=FOLDER; may be repeated";
  return new Command("hub")
    .description("serve folders of this machine by the routes of the Hugging Face Hub")
    .option("--model <name=folder>", `a model, ${folder}`, collect, {})
    .option("--dataset <name=folder>", `a dataset, ${folder}`, collect, {})
    .option("--port <number>", "port to listen on; 0 takes any free one", integer(0, 65535), 0)
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .action(async ({ host, port, model, dataset }: HubCommandOptions) => {
      for (const path of [...Object.values(model), ...Object.values(dataset)]) {
        const found = await stat(path).catch(() => undefined);
        if (!found?.isDirectory()) throw new SlipwayError("FolderNotFound", `${path} is not a folder`);
      }
      using stop = onInterrupt();
      const hub = await startHub({ models: model, datasets: dataset }, port, host);
      process.stdout.write(`${JSON.stringify({ url: hub.url })}\n`);
      if (!stop.signal.aborted) await once(stop.signal, "abort");
      await hub.close();
    });
}

function collect(text: string, before: Record<string, string>): Record<string, string> {
  const match = /^([^/=]+\/[^/=]+)=(.+)$/.exec(text);
  if (!match) throw new InvalidArgumentError("Write organisation/name=FOLDER.");
  const [, name = "", folder = ""] = match;
  return { ...before, [name]: resolve(folder) };
}
