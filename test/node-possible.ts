/** Whether this machine can have a local node: containers, mounts and interfaces need Linux and root. */
export const nodePossible = process.platform === "linux" && process.getuid?.() === 0;
