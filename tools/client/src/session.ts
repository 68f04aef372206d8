// Clients made from the document, whose every answer is held against it.
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema.js";
import type { Stack } from "./stack.js";
import { field } from "./values.js";

export type Schemas = components["schemas"];
export type Status = Schemas["google.rpc.Status"];
export type API = Client<paths>;

export class Sessions {
  private readonly clients = new Map<string, Promise<API>>();
  private readonly conform: Conformity;
  /** Answers that were held against the document. */
  get answers(): number {
    return this.conform.answers;
  }
  /** Operations that were answered well, as `GET /v1/tickets`. */
  get called(): Set<string> {
    return this.conform.called;
  }

  constructor(
    private readonly stack: Stack,
    document: unknown,
  ) {
    this.conform = new Conformity(document);
  }

  /** A client for somebody without a token: a customer with a link. */
  unknown(): API {
    return this.client({});
  }

  /** A client for a role, and for a member of staff where one is named. */
  as(role: string, staff?: string): Promise<API> {
    const flags = ["--role", role, ...(staff === undefined ? [] : ["--staff", staff])];
    const key = flags.join(" ");
    const known = this.clients.get(key);
    if (known) return known;
    const made = this.stack.token(...flags).then((token) => this.client({ Authorization: `Bearer ${token}` }));
    this.clients.set(key, made);
    return made;
  }

  private client(headers: Record<string, string>): API {
    const client = createClient<paths>({ baseUrl: this.stack.url, headers });
    client.use(this.conform.middleware);
    return client;
  }
}

/** Checks answers against the schema that the document gives them, and that it names all they carry. */
class Conformity {
  answers = 0;
  readonly called = new Set<string>();
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(private readonly document: unknown) {
    formats.default(this.ajv);
    this.ajv.addSchema({ $id: "kefu", components: { schemas: closed(field(document, "components", "schemas")) } });
  }

  readonly middleware: Middleware = {
    onResponse: async ({ request, response, schemaPath }) => {
      const call = `${request.method} ${schemaPath}`;
      const responses = field(this.document, "paths", schemaPath, request.method.toLowerCase(), "responses");
      let described = field(responses, String(response.status)) ?? field(responses, "default");
      const shared = field(described, "$ref");
      if (typeof shared === "string") described = field(this.document, ...shared.split("/").slice(1));
      if (!response.headers.get("X-Request-Id")) throw new Error(`${call}: no X-Request-Id`);
      if (response.status === 304) return;
      const schema = field(described, "content", "application/json", "schema", "$ref");
      const body: unknown = await response.clone().json();
      if (typeof schema !== "string") throw new Error(`${call}: ${response.status} is not described`);
      const validate = this.ajv.getSchema(`kefu${schema}`);
      if (!validate) throw new Error(`${call}: ${schema} is nowhere`);
      if (!validate(body)) {
        throw new Error(`${call}: ${response.status} is not a ${schema}: ${this.ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`);
      }
      this.answers++;
      if (response.ok) this.called.add(call);
    },
  };
}

/** Copies schemas so that objects have no other fields than the document names. */
function closed(schemas: unknown): unknown {
  if (Array.isArray(schemas)) return schemas.map(closed);
  if (typeof schemas !== "object" || schemas === null) return schemas;
  const copy = Object.fromEntries(Object.entries(schemas).map(([key, value]) => [key, closed(value)]));
  if (copy["type"] === "object" && !("additionalProperties" in copy)) copy["additionalProperties"] = false;
  return copy;
}

interface Answer<T> {
  data?: T | undefined;
  error?: Status | undefined;
  response: Response;
}

/** The body of a call that must succeed. */
export async function good<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (data === undefined) throw new Error(`${response.url}: ${response.status} ${JSON.stringify(error)}`);
  return data;
}

/** The reason of a call that must be refused with that HTTP code. */
export async function refused(code: number, call: Promise<Answer<unknown>>): Promise<string> {
  const { error, response } = await call;
  if (error === undefined || response.status !== code) throw new Error(`${response.url}: ${response.status}, expected ${code}`);
  const kind = (name: string) => error.details.some((d) => d["@type"] === `type.googleapis.com/google.rpc.${name}`);
  if (!kind("LocalizedMessage") || !kind("RequestInfo")) throw new Error(`${response.url}: ${JSON.stringify(error)}`);
  const info = error.details.find((d) => d["@type"] === "type.googleapis.com/google.rpc.ErrorInfo");
  if (info === undefined) throw new Error(`${response.url}: no reason in ${JSON.stringify(error)}`);
  return info.reason;
}
