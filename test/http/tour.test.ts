import { expect } from "chai";
import { HTTP } from "../support/http.ts";
import { freshPlace, type Place, type Running, start } from "../support/system.ts";
import { normalised, readTour, runTour } from "../support/tour.ts";

describe("the tour of docs/http.md", () => {
  let place: Place;
  let parley: Running;

  before(async () => {
    place = await freshPlace("embedded");
    parley = await start(place, ["api", "worker"], HTTP);
    // Who comes from the README's tour has an application already.
    await parley.clients.createApplication({ application: { name: "of another tour" } });
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  it("has commands that do what the page shows", async () => {
    const stops = readTour("docs/http.md");
    expect(stops).to.have.length.above(9);
    const http = `127.0.0.1:${parley.system.http!.port}`;
    const results = await runTour(stops, { address: parley.target, http });
    stops.forEach((stop, at) => {
      expect(normalised(results[at]!.output), stop.command).to.equal(normalised(stop.shown));
    });
  });
});
