/** Files keep the contract of Blobs, and what only files can go wrong with. */
import { Effect, Layer } from "effect"
import { layer } from "../infrastructure/file-blobs.ts"
import * as Blobs from "./contract/blobs.ts"
import { freshFolder } from "./support/database.ts"

Blobs.suite("files", Layer.unwrap(Effect.map(freshFolder(), layer)))
