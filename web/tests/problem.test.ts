import { expect, it } from "vitest";
import { errorAt, problemFrom } from "../src/api/problem";

const said = (body: object, status = 422) => problemFrom(new Response(JSON.stringify(body), { status }));

it("shows the errors of a form without the API's wording", async () => {
  const problem = await said({
    type: "urn:crosshaul:problem:invalid-body",
    title: "Cannot be done as asked",
    detail: "The body does not fit: options.include.0: '[' is no pattern",
    advice: "See `errors` for every place, and GET /openapi.json for what fits.",
    errors: [{ at: "options.include.0", message: "'[' is no pattern" }],
  });
  expect(errorAt(problem, "options.include")).toBe("'[' is no pattern");
  expect(`${problem.title} ${problem.detail} ${problem.advice}`).not.toMatch(/body|openapi|errors/);
  expect(problem.status).toBe(422);
});

it("keeps the API's wording of other problems", async () => {
  const problem = await said(
    { title: "Not found", detail: "There is no agent x.", advice: "See the list." },
    404,
  );
  expect(problem).toMatchObject({
    title: "Not found",
    detail: "There is no agent x.",
    advice: "See the list.",
  });
});
