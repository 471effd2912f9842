// @ts-check

/** All jobs that the channel "jobs" tells of; none before its first value. */
export const listedJobs = (state) => (state ? [...state.jobs, ...state.suspended, ...state.recent] : []);
