/** Names who works at central's office: administrators, and the few who may see opened results. */
import { Schema } from "effect"

export const OfficeRole = Schema.Literals(["administrator", "results-officer"])
export type OfficeRole = typeof OfficeRole.Type
