import { expect } from "chai";
import fc from "fast-check";
import { decodePageToken, encodePageToken, pageSizeOf } from "../../src/core/pages.ts";

describe("page tokens", () => {
  it("come back with their position for the same request", () => {
    fc.assert(
      fc.property(fc.nat(Number.MAX_SAFE_INTEGER), fc.array(fc.string()), (position, binding) => {
        const token = encodePageToken(position, ...binding);
        expect(token).to.match(/^[A-Za-z0-9_-]+$/);
        expect(decodePageToken(token, ...binding)).to.equal(position);
      }),
    );
  });

  it("are refused for another request, and when they were made up", () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ minLength: 1 }), (binding, forged) => {
        const token = encodePageToken(7, binding);
        expect(() => decodePageToken(token, `${binding}x`)).to.throw("next_page_token");
        expect(() => decodePageToken(token, binding, "")).to.throw("next_page_token");
        expect(() => decodePageToken(forged, binding)).to.throw("next_page_token");
      }),
    );
  });

  it("are undefined for a first page", () => {
    expect(decodePageToken("", "x")).to.equal(undefined);
  });
});

describe("page size", () => {
  it("means 50 where it is 0, and is lowered to 1,000", () => {
    expect([0, 1, 1_000, 1_001].map(pageSizeOf)).to.deep.equal([50, 1, 1_000, 1_000]);
  });
});
