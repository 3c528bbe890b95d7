import { possible } from "./possible.ts";

/** Whether this machine can have a local node: containers, mounts and interfaces need Linux and root. */
export const nodePossible = possible("a local node", [
  ...(process.platform === "linux" ? [] : ["Linux"]),
  ...(process.getuid?.() === 0 ? [] : ["root"]),
]);
