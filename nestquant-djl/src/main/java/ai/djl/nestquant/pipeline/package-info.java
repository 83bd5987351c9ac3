/** Whole operations that the command line and programs start: the studies of codes. */
package ai.djl.nestquant.pipeline;
