import packageJson from "../../package.json" with { type: "json" };

const image = (name: string) => `ghcr.io/slipway-dev/${name}:${packageJson.version}`;

/** What this release runs in pods (images/). */
export const IMAGES = {
  controller: image("slipway"),
  trainer: image("slipway-trainer"),
  /** The same with NVIDIA's libraries. */
  trainerCuda: image("slipway-trainer-cuda"),
  trainerTensorflow: image("slipway-trainer-tensorflow"),
} as const;
