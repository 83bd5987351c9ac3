/** Short programs on the public API, one idea each. */
package ai.djl.nestquant.examples;
