// What the compiler must refuse, and what it must know: never run.
import type { operations } from "./schema.js";
import type { API, Schemas } from "./session.js";

// What an operation answers, in JSON or as a file.
type Body<O> = O extends { responses: { 200: { content: infer C } } } ? C[keyof C] : never;

// Operations whose answer has no type of its own.
type Untyped = {
  [K in keyof operations]: [Body<operations[K]>] extends [never] ? K : unknown extends Body<operations[K]> ? K : never;
}[keyof operations];
export const everyAnswerIsTyped: [Untyped] extends [never] ? true : Untyped = true;

// Operations whose error is not the one that all share.
type OtherError = {
  [K in keyof operations]: operations[K] extends { responses: { default: { content: { "application/json": Schemas["google.rpc.Status"] } } } }
    ? never
    : K;
}[keyof operations];
export const everyErrorIsTyped: [OtherError] extends [never] ? true : OtherError = true;

export async function mustNotCompile(api: API): Promise<void> {
  const params = { path: { id: "x" } };
  // @ts-expect-error there is no such path
  await api.GET("/v1/nothing");
  // @ts-expect-error a verb that the path does not have
  await api.DELETE("/v1/tickets/{id}", { params });
  // @ts-expect-error a ticket needs a title
  await api.POST("/v1/tickets", { body: { channel: "CHANNEL_PHONE" } });
  // @ts-expect-error a channel that there is not
  await api.POST("/v1/tickets", { body: { channel: "PIGEON", title: "x" } });
  // @ts-expect-error only the server sets a number
  await api.POST("/v1/tickets", { body: { channel: "CHANNEL_PHONE", title: "x", number: "T-1" } });
  // @ts-expect-error a parameter that there is not
  await api.GET("/v1/tickets", { params: { query: { colour: "red" } } });
  // @ts-expect-error the ticket is not named
  await api.POST("/v1/tickets/{id}:start", { body: {} });
  // @ts-expect-error a resolution is what resolve is about
  await api.POST("/v1/tickets/{id}:resolve", { params, body: {} });
  const { data } = await api.GET("/v1/tickets/{id}", { params });
  // @ts-expect-error a ticket has no colour
  void data?.colour;
}
