/** Tests of the model blocks against outputs of the reference implementation. */
package ai.djl.nestquant.model;
