// A server over stdio speaks the protocol on standard output, which belongs to it alone: what a
// thread's tools and their libraries print goes to standard error. Import this first.
Object.defineProperty(process, 'stdout', { get: () => process.stderr });
