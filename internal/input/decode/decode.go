// Package decode has what the decoders of all kinds of telemetry share: lines
// and JSON objects cut from a stream in bounded memory, a cursor over JSON that
// builds no values, civil and epoch times, addresses, and the words of the IANA
// registries for types, classes and response codes.
package decode
