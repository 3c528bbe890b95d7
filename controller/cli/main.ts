import { Command } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { describeError } from "../errors.ts";

/** Commands are loaded when they are called: some bring a Kubernetes client or a model along. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  validate: async () => (await import("./validate.ts")).validateCommand(),
  eval: async () => (await import("./eval.ts")).evalCommand(),
  data: async () => (await import("./data.ts")).dataCommand(),
  lineage: async () => (await import("./lineage.ts")).lineageCommand(),
  tree: async () => (await import("./tree.ts")).treeCommand(),
  install: async () => (await import("./install.ts")).installCommand(),
  fetch: async () => (await import("./fetch.ts")).fetchCommand(),
  work: async () => (await import("./work.ts")).workCommand(),
  controller: async () => (await import("./controller.ts")).controllerCommand(),
  dev: async () => (await import("./dev.ts")).devCommand(),
  demo: async () => (await import("./demo.ts")).demoCommand(),
};

const program = new Command("slipway")
  .description(packageJson.description)
  .version(packageJson.version)
  .showHelpAfterError();
const [name = ""] = process.argv.slice(2);
const wanted = COMMANDS[name];
for (const load of wanted ? [wanted] : Object.values(COMMANDS)) program.addCommand(await load());
program.configureOutput({ writeErr: (text) => process.stderr.write(text) }).exitOverride();
inheritSettings(program);

try {
  await program.parseAsync();
} catch (error) {
  // commander has said what was wrong with the usage; its own exit codes are 0 and 1, ours says 2.
  const usage = error as { code?: string; exitCode?: number };
  if (usage.code?.startsWith("commander.")) process.exitCode = usage.exitCode === 0 ? 0 : 2;
  else {
    console.error(describeError(error));
    process.exitCode = 2;
  }
}

/** Commands that were made apart from their parent do not take over its settings by themselves. */
function inheritSettings(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    inheritSettings(command);
  }
}
