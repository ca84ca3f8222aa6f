import { productionMissing } from "../support/servers.ts";
import { elasticIndex, sqliteIndex } from "./indices.ts";
import { searchIndexContract } from "./search-index.ts";

searchIndexContract("SQLite", sqliteIndex);
searchIndexContract("Elasticsearch", elasticIndex, productionMissing);
