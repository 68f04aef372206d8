// Walks the journeys on a stack of its own with the client made from the document.
import { fileURLToPath } from "node:url";
import { throughEveryStage } from "./complaint.js";
import { fromTicketToFollowUp } from "./journey.js";
import { Sessions } from "./session.js";
import { Stack } from "./stack.js";

const stack = await Stack.start(fileURLToPath(new URL("../../../bin/kefuctl", import.meta.url)));
try {
  const served = await fetch(`${stack.url}/openapi.json`);
  const document: unknown = await served.json();
  const sessions = new Sessions(stack, document);
  await fromTicketToFollowUp(sessions);
  await throughEveryStage(sessions);
  console.log(`client: ${sessions.called.size} operations called, ${sessions.answers} answers as the document says`);
} finally {
  await stack.stop();
}
