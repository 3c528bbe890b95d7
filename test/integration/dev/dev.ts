import { devCommand } from "../../../controller/cli/dev.ts";

/** `slipway dev` alone. */
await devCommand().parseAsync();
