// Reading JSON of which nothing is known, and waiting.
import { setTimeout as pause } from "node:timers/promises";

/** Follows names into a JSON value; undefined where they lead nowhere. */
export function field(value: unknown, ...path: string[]): unknown {
  for (const name of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.entries(value).find(([key]) => key === name)?.[1];
  }
  return value;
}

/** Asks until there is an answer. What comes by event takes about a second. */
export async function eventually<T>(what: string, within: number, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + within;
  for (;;) {
    const found = await ask();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${within / 1000} s`);
    await pause(100);
  }
}

export function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`expected ${what}`);
}
