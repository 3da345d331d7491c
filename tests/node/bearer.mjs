// Loaded before the conformance runner, which cannot send a token by itself:
// every request this process makes, by fetch or by node:http, carries the one in MCP_BEARER_TOKEN.
import { subscribe } from "node:diagnostics_channel";

const value = `Bearer ${process.env.MCP_BEARER_TOKEN}`;

subscribe("undici:request:create", ({ request }) => request.addHeader("authorization", value));
subscribe("http.client.request.created", ({ request }) => request.setHeader("authorization", value));
