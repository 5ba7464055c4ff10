/** The wire's types under their short names; all of them come from the generated file. */
import type { components } from "./wire";

type Schemas = components["schemas"];

export type Agent = Schemas["AgentView"];
export type AgentStatus = Schemas["AgentStatus"];
export type Entry = Schemas["Entry"];
export type Enrollment = Schemas["EnrollmentView"];
export type Health = Schemas["Health"];
export type Hop = Schemas["HopView"];
export type HopState = Schemas["HopState"];
export type Listing = Schemas["ListingView"];
export type Live = Schemas["Live"];
export type LiveAddress = Schemas["LiveView"];
export type Location = Schemas["AgentLocation"] | Schemas["S3Location"];
export type Moment = Schemas["Moment"];
export type Overview = Schemas["OverviewView"];
export type Tally = Schemas["Tally"];
export type Options = Schemas["Options"];
export type Preview = Schemas["Preview"];
export type Problem = Schemas["Problem"];
export type ProblemDetails = Schemas["ProblemDetails"];
export type Progress = Schemas["Progress"];
export type Template = Schemas["TemplateView"];
export type TemplateRequest = Schemas["TemplateRequest"];
export type Transfer = Schemas["TransferView"];
export type TransferRequest = Schemas["TransferRequest"];
export type TransferState = Schemas["TransferState"];
export type TransferSummary = Schemas["TransferSummary"];
export type TransfersPage = Schemas["TransfersView"];
export type SignIn = Schemas["SignIn"];
