// Package calendar counts the city's time: which days are working days, and by when a step is owed.
//
// A [Calendar] is built from the State Council's notices of days off and make-up workdays (调休). A [Policy]
// gives each statutory [Clock] its amount. [Rules] join the two and compute a [Due], which the deciding event
// records together with the names and versions of policy and calendar. Replay reads the recorded due and never
// comes here, so a new notice or a new policy changes no due instant of the past.
//
// What counts as time:
//
//   - natural minutes and hours: due = start + amount;
//   - natural days: the day of the start is not counted, due is 23:59:59 on the last of the amount of days
//     after it, a day off or not;
//   - working days: the same, counting working days only, whether the start day is one or not;
//   - service hours: counted only inside the service windows of working days; outside them counting starts at
//     the next opening; a count complete at a closing time is due at that closing time.
//
// Days are days in the city ([Zone]); instants are UTC in whole seconds. The results depend on the arguments
// alone: there is no clock here, and no zone file of the machine is read.
//
// A year is known if a notice about it is loaded. A count that reaches beyond what the notices settle, from
// 29 December of the last known year, takes the dates there for Monday to Friday and is marked provisional:
// next year's notice may still name them.
package calendar
