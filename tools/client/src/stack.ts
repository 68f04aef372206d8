// A suite of its own: started, asked for tokens, stopped.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually, field } from "./values.js";

const run = promisify(execFile);
const readyWithin = 90_000;
const stopWithin = 45_000;

export class Stack {
  private constructor(
    private readonly kefuctl: string,
    private readonly dir: string,
    private readonly process: ChildProcess,
    readonly url: string,
  ) {}

  /** Starts a stack on free ports and waits until it is ready. */
  static async start(kefuctl: string): Promise<Stack> {
    const dir = await mkdtemp(join(tmpdir(), "kefu-client-"));
    const log = join(dir, "up.log");
    const output = openSync(log, "w");
    const child = spawn(kefuctl, ["up", "--dir", join(dir, "stack"), "--http", "127.0.0.1:0", "--free-ports"], {
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    let failure: Error | undefined;
    child.on("error", (error) => (failure = error));
    try {
      const url = await eventually("a stack that is ready", readyWithin, async () => {
        if (failure) throw failure;
        if (child.exitCode !== null) throw new Error(`the stack ended before it was ready:\n${await readFile(log, "utf8")}`);
        const state = await readFile(join(dir, "stack", "stack.json"), "utf8").catch(() => undefined);
        if (state === undefined) return undefined;
        const parsed: unknown = JSON.parse(state);
        const rest = field(parsed, "rest");
        return field(parsed, "pid") === child.pid && typeof rest === "string" ? rest : undefined;
      });
      return new Stack(kefuctl, dir, child, url);
    } catch (error) {
      child.kill("SIGKILL");
      await rm(dir, { recursive: true, force: true });
      throw error;
    }
  }

  /** Makes a development token, as `kefuctl token` does for people. */
  async token(...flags: string[]): Promise<string> {
    const { stdout } = await run(this.kefuctl, ["token", "--dir", join(this.dir, "stack"), ...flags]);
    return stdout.trim();
  }

  /** Ends the stack as Ctrl-C does. */
  async stop(): Promise<void> {
    const ended = new Promise<number | null>((resolve) => this.process.once("exit", resolve));
    if (this.process.exitCode === null) {
      this.process.kill("SIGINT");
      const late = setTimeout(() => this.process.kill("SIGKILL"), stopWithin);
      await ended;
      clearTimeout(late);
    }
    await rm(this.dir, { recursive: true, force: true });
  }
}
