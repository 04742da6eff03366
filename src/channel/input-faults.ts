/** The errors for a body, or a file for a Filter, that will never be complete: codes of the catalogue. */

export const INPUT_ERRORS = {
  BODY: {
    tooLarge: 'LUAFCGID_REQUEST_BODY_TOO_LARGE',
    short: 'LUAFCGID_REQUEST_BODY_SHORT',
    late: 'LUAFCGID_REQUEST_BODY_LATE',
  },
  DATA: {
    tooLarge: 'LUAFCGID_REQUEST_DATA_TOO_LARGE',
    short: 'LUAFCGID_REQUEST_DATA_SHORT',
    late: 'LUAFCGID_REQUEST_DATA_LATE',
  },
} as const;
