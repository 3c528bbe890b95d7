import { type Logger, pino } from "pino";

export type { Logger } from "pino";

/**
 * Keys whose values never reach a log line, wherever they appear up to four levels deep: as deep as the headers of a
 * request that an error names, `err.request.headers.authorization`.
 */
const SECRET_KEYS = [
  "authorization",
  "Authorization",
  "token",
  "apiKey",
  "password",
  "secret",
  "cookie",
  "privateKey",
];

/**
 * The program's logger: JSON lines on stderr, secrets removed by key.
 * @param level pino level name; `SLIPWAY_LOG_LEVEL` unless given
 */
export function createLogger(level: string = process.env.SLIPWAY_LOG_LEVEL ?? "info"): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`, `*.*.*.${key}`]),
        censor: "[redacted]",
      },
      serializers: { err: pino.stdSerializers.err },
    },
    pino.destination(2),
  );
}
