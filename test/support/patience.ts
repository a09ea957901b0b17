/** PROVOST_TEST_PATIENCE: by how much this machine is slower than what the tests wait for, as an emulated one is. */
export const patience = Number(process.env['PROVOST_TEST_PATIENCE'] ?? 1)
