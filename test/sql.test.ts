/** The databases keep one contract: sql.js files, node:sqlite and PostgreSQL. */
import * as Sqlite from "../infrastructure/sql-sqlite.ts"
import { suite } from "./contract/sql.ts"
import { embedded, onPostgres } from "./support/on-database.ts"

suite("sql.js on files", embedded(Sqlite.layer))
suite("node:sqlite", embedded(Sqlite.layerNode))
suite("PostgreSQL", onPostgres)
