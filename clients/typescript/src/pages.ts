/** A list that is fetched page by page as it is walked; each walk begins at the first page. */
export class Pages<Item, Page extends { nextPageToken: string }> implements AsyncIterable<Item> {
  private readonly fetch: (pageToken: string) => Promise<Page>;
  private readonly itemsOf: (page: Page) => Item[];

  constructor(fetch: (pageToken: string) => Promise<Page>, itemsOf: (page: Page) => Item[]) {
    this.fetch = fetch;
    this.itemsOf = itemsOf;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) yield* this.itemsOf(page);
  }

  /** The pages themselves, with all that the server says beside the items. */
  async *pages(): AsyncGenerator<Page, void, undefined> {
    let pageToken = "";
    do {
      const page = await this.fetch(pageToken);
      yield page;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }
}
