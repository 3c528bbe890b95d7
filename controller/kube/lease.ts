import { SlipwayError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { KubeClient } from "./client.ts";
import { sleep } from "./deadline.ts";
import { isAlreadyExists, isConflict, isNotFound } from "./kube-error.ts";
import { heldBy, type LeaseObject, type Observed, observe, released, taken } from "./lease-record.ts";
import { Lease } from "./resources.ts";

export interface LeaderElectorOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Different for every process, also after a restart: pod name and a random part. */
  readonly identity: string;
  /** How long others wait after the last renewal that they saw. */
  readonly leaseDurationMs?: number;
  /** How long this process leads after the last renewal that worked; below leaseDurationMs. */
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
  readonly log: Logger;
}

export interface LeaderCallbacks {
  /** Ends every campaign: work is stopped, and only then the lease is given back. */
  readonly signal: AbortSignal;
  /** The leader's work; it must return soon after `leadingSignal` aborts. */
  readonly onStarted: (leadingSignal: AbortSignal) => Promise<void>;
  readonly onStopped?: () => void;
}

/**
 * Leader election on a Lease with client-go's rules. Clocks of different machines are never compared:
 * a lease has expired when this process has seen no change of it for as long as it says.
 * The defaults (8 s, 5 s, 1 s) bound a failover: at most a period until the last renewal was seen, 8 s,
 * and a period until the next try, so about 11 s; client-go's 15/10/2 needs up to 24 s.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  #observed: Observed | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #leading = false;

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#leaseDurationMs = options.leaseDurationMs ?? 8_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 5_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 1_000;
    if (!options.identity) throw new SlipwayError("EmptyIdentity", "a leader needs an identity");
    const ordered =
      this.#leaseDurationMs > this.#renewDeadlineMs && this.#renewDeadlineMs > 1.2 * this.#retryPeriodMs;
    if (!ordered || this.#leaseDurationMs < 1_000) {
      throw new RangeError(
        "leader election needs leaseDuration > renewDeadline > 1.2 x retryPeriod, and 1 s or more",
      );
    }
  }

  /**
   * Whether this process may still write as the leader: asked before each write, because a process that
   * was stopped for a while runs on before any timer has told it so.
   */
  isLeading(): boolean {
    return this.#leading && performance.now() - this.#renewedAt < this.#renewDeadlineMs;
  }

  /**
   * Waits for the lease, leads until it is lost or `signal` aborts, and returns when the work has ended.
   * @returns `lost` when somebody else leads now or may lead; `stopped` when it was given back
   * @throws what `onStarted` throws, after giving the lease back
   */
  async run(callbacks: LeaderCallbacks): Promise<"stopped" | "lost"> {
    const { signal } = callbacks;
    for (;;) {
      if (signal.aborted) return "stopped";
      if (await this.#tryAcquireOrRenew(this.#renewDeadlineMs)) break;
      await this.#pause(signal).catch(() => {});
    }
    this.#leading = true;
    this.#options.log.info({ lease: this.#options.name, identity: this.#options.identity }, "leading");
    const leading = new AbortController();
    const stop = () => leading.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    const ended = new AbortController();
    const work = Promise.resolve()
      .then(() => callbacks.onStarted(leading.signal))
      .finally(() => ended.abort());
    // Awaited below; until then a failure is not unhandled.
    work.catch(() => {});
    let kept = false;
    try {
      // Renewed until the work has ended, not until it was told to: what it still writes is the leader's.
      kept = await this.#keep(ended.signal);
      if (!kept) {
        this.#leading = false;
        leading.abort(new SlipwayError("LeadershipLost", "the lease was lost"));
      }
      await work;
      return kept ? "stopped" : "lost";
    } finally {
      const stillOurs = kept && this.isLeading();
      this.#leading = false;
      signal.removeEventListener("abort", stop);
      if (stillOurs) await this.#release();
      callbacks.onStopped?.();
    }
  }

  /** Renews until `ended`; false when the lease is lost. */
  async #keep(ended: AbortSignal): Promise<boolean> {
    const { log, name } = this.#options;
    while (!ended.aborted) {
      await this.#pause(ended).catch(() => {});
      if (ended.aborted) break;
      const left = this.#renewedAt + this.#renewDeadlineMs - performance.now();
      if (left <= 0) {
        log.error({ lease: name }, "the lease was not renewed in time");
        return false;
      }
      if (await this.#tryAcquireOrRenew(left)) continue;
      if (this.#observed && !heldBy(this.#observed, this.#options.identity)) {
        log.error(
          { lease: name, holder: this.#observed.lease.spec.holderIdentity },
          "somebody else holds the lease",
        );
        return false;
      }
    }
    return this.isLeading();
  }

  /** One try; false for any failure, which the next try gets over or the deadline ends. */
  async #tryAcquireOrRenew(timeoutMs: number): Promise<boolean> {
    const { client, namespace, name, identity, log } = this.#options;
    // Counted from before the request: the server may have stored it at any time since.
    const started = performance.now();
    // Half the deadline at most, so that one connection that hangs leaves time for another try.
    const options = { timeoutMs: Math.max(1, Math.min(timeoutMs, this.#renewDeadlineMs / 2)) };
    const term = { identity, durationMs: this.#leaseDurationMs, now: new Date() };
    try {
      let current = this.#observed?.lease;
      // The holder writes what it last wrote, with the version as the lock; everybody else reads first.
      if (!(this.#leading && current)) {
        try {
          current = await client.get<LeaseObject>(Lease, namespace, name, options);
        } catch (error) {
          if (!isNotFound(error)) throw error;
          const created = await client.create(Lease, taken(undefined, { ...term, namespace, name }), options);
          return this.#won(created, started);
        }
        this.#observed = observe(this.#observed, current, performance.now());
        if (!heldBy(this.#observed, identity) && !this.#observed.expired(performance.now())) return false;
      }
      const updated = await client.replace(Lease, taken(current, { ...term, namespace, name }), options);
      return this.#won(updated, started);
    } catch (err) {
      if (isConflict(err) || isAlreadyExists(err)) await this.#look(options);
      else log.warn({ err, lease: name }, "cannot take or renew the lease");
      return false;
    }
  }

  #won(lease: LeaseObject, started: number): true {
    this.#observed = observe(this.#observed, lease, performance.now());
    this.#renewedAt = started;
    return true;
  }

  /** Sees who won the race that this process lost. */
  async #look(options: { timeoutMs: number }): Promise<void> {
    const { client, namespace, name, log } = this.#options;
    try {
      const current = await client.get<LeaseObject>(Lease, namespace, name, options);
      this.#observed = observe(this.#observed, current, performance.now());
    } catch (err) {
      // Deleted, which a write to it reports as a conflict too: the next try makes a new one.
      if (isNotFound(err)) this.#observed = undefined;
      else log.warn({ err, lease: name }, "cannot read the lease");
    }
  }

  async #release(): Promise<void> {
    const { client, name, log } = this.#options;
    if (!this.#observed) return;
    try {
      await client.replace(Lease, released(this.#observed.lease, new Date()), {
        timeoutMs: this.#renewDeadlineMs,
      });
      this.#observed = undefined;
      log.info({ lease: name }, "gave the lease back");
    } catch (err) {
      log.warn({ err, lease: name }, "could not give the lease back; it expires by itself");
    }
  }

  /** The retry period and up to a fifth more, so that candidates do not meet. */
  #pause(signal: AbortSignal): Promise<void> {
    return sleep(this.#retryPeriodMs * (1 + 0.2 * Math.random()), signal);
  }
}
